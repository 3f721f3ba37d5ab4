//! What HTML may cost. The parser behind the sanitizer does what the standard says, which is
//! quadratic in the depth of elements and worse where formatting is left open: every paragraph after it
//! gets the whole of it again. So the text is parsed once in small pieces, of which nothing is kept,
//! until it is seen that it stays within these numbers.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use html5ever::interface::{Attribute, ElementFlags, NodeOrText, QualName, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{ExpandedName, ParseOpts, local_name, ns, parse_fragment};

/// Elements in each other.
const DEPTH: usize = 128;
/// Elements and comments, of some 200 bytes each while they are sanitized.
const NODES: usize = 100_000;
/// Elements that are moved because others were closed in a wrong order, and nodes that are put before a
/// table because they stand where only its rows may: its place is looked for among all of its neighbours.
const MOVES: usize = 1_000;
/// Attributes of formatting elements, each counted with those around it, to which it is compared: three
/// that are alike are kept, and no more.
const COMPARED: usize = 500_000;
/// What may separate attributes, in one tag: each attribute is compared with all before it.
const SEPARATORS: usize = 4_096;
/// Bytes that are looked at while text is written: for what is to be escaped, the serializer looks to the next
/// `<` or `>`, or to the end, after each `&` anew. So it costs the length of a text times what is escaped in it.
const LOOKED_AT: u64 = 20_000_000_000;
/// Bytes from one look at the numbers to the next.
const PIECE: usize = 1_024;

/// Whether HTML is sanitized in reasonable time.
pub fn has_room_for(html: &str) -> bool {
    let context = QualName::new(None, ns!(html), local_name!("div"));
    let options = ParseOpts::default();
    let mut parser = parse_fragment(Counter::default(), options, context, Vec::new(), false);
    let (mut rest, mut separators) = (html, 0);
    while !rest.is_empty() {
        let mut end = PIECE.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        let steps = parser.tokenizer.sink.sink.steps.get();
        parser.process(StrTendril::from_slice(piece));
        let counter = &parser.tokenizer.sink.sink;
        if counter.steps.get() > steps {
            separators = 0;
        }
        separators += piece.bytes().filter(|byte| is_separator(*byte)).count();
        if separators > SEPARATORS || counter.is_too_much() {
            return false;
        }
    }
    true
}

fn is_separator(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"/\"'".contains(&byte)
}

/// Counts what a tree would be made of.
#[derive(Default)]
struct Counter {
    depth: Cell<usize>,
    nodes: Cell<usize>,
    moves: Cell<usize>,
    compared: Cell<usize>,
    /// Whatever was done: while there is nothing the parser is within a tag or a comment.
    steps: Cell<usize>,
    /// Of all text and values of attributes that have ended.
    looked_at: Cell<u64>,
    text: Run,
}

/// Text up to what ends a look of the serializer.
#[derive(Default)]
struct Run {
    length: Cell<u64>,
    escaped: Cell<u64>,
}

impl Run {
    /// What it costs to write this.
    fn cost(&self) -> u64 {
        self.length.get().saturating_mul(self.escaped.get())
    }

    /// Goes on with a text; gives the cost of what ended in it.
    fn read(&self, text: &str, ends: &[u8]) -> u64 {
        let mut cost: u64 = 0;
        for byte in text.bytes() {
            self.length.set(self.length.get() + 1);
            // No-break spaces are escaped, and their first byte is that of 63 other characters.
            if matches!(byte, b'&' | 0xC2) {
                self.escaped.set(self.escaped.get() + 1);
            }
            if ends.contains(&byte) {
                cost = cost.saturating_add(self.end());
            }
        }
        cost
    }

    /// Begins anew; gives the cost of what was.
    fn end(&self) -> u64 {
        let cost = self.cost();
        self.length.set(0);
        self.escaped.set(0);
        cost
    }
}

/// A node, which knows how deep it is and nothing of others.
struct Node {
    name: QualName,
    attributes: usize,
    depth: Cell<usize>,
    /// Formatting elements that it is in, itself among them.
    formats: Cell<usize>,
}

impl Node {
    /// Whether it is opened again in each paragraph until it is closed.
    fn is_format(&self) -> bool {
        self.name.ns == ns!(html)
            && matches!(
                &*self.name.local,
                "a" | "b"
                    | "big"
                    | "code"
                    | "em"
                    | "font"
                    | "i"
                    | "nobr"
                    | "s"
                    | "small"
                    | "strike"
                    | "strong"
                    | "tt"
                    | "u"
            )
    }
}

impl Counter {
    fn is_too_much(&self) -> bool {
        self.depth.get() > DEPTH
            || self.nodes.get() > NODES
            || self.moves.get() > MOVES
            || self.compared.get() > COMPARED
            || self.looked_at.get().saturating_add(self.text.cost()) > LOOKED_AT
    }

    fn look_at(&self, cost: u64) {
        self.looked_at
            .set(self.looked_at.get().saturating_add(cost));
    }

    fn count(of: &Cell<usize>) {
        of.set(of.get() + 1);
    }

    fn make(&self, name: QualName, attributes: usize) -> Rc<Node> {
        Self::count(&self.nodes);
        Self::count(&self.steps);
        let (depth, formats) = (Cell::new(0), Cell::new(0));
        Rc::new(Node {
            name,
            attributes,
            depth,
            formats,
        })
    }

    /// For what is no element.
    fn nameless(&self) -> Rc<Node> {
        self.make(QualName::new(None, ns!(), local_name!("")), 0)
    }

    /// Puts a child as deep as this, into so many formatting elements.
    fn put(&self, child: &NodeOrText<Rc<Node>>, depth: usize, formats: usize) {
        Self::count(&self.steps);
        let node = match child {
            NodeOrText::AppendNode(node) => node,
            NodeOrText::AppendText(text) => return self.look_at(self.text.read(text, b"<>")),
        };
        self.look_at(self.text.end());
        node.depth.set(depth);
        self.depth.set(self.depth.get().max(depth));
        let is_format = node.is_format();
        node.formats.set(formats + usize::from(is_format));
        if is_format {
            let compared = self.compared.get() + node.attributes * formats;
            self.compared.set(compared);
        }
    }
}

impl TreeSink for Counter {
    type Handle = Rc<Node>;
    type Output = ();
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) {}

    fn parse_error(&self, _message: Cow<'static, str>) {}

    fn get_document(&self) -> Rc<Node> {
        self.nameless()
    }

    fn elem_name<'a>(&'a self, target: &'a Rc<Node>) -> ExpandedName<'a> {
        target.name.expanded()
    }

    fn create_element(
        &self,
        name: QualName,
        attributes: Vec<Attribute>,
        _: ElementFlags,
    ) -> Rc<Node> {
        for attribute in &attributes {
            let value = Run::default();
            self.look_at(value.read(&attribute.value, b"\"<>"));
            self.look_at(value.end());
        }
        self.make(name, attributes.len())
    }

    fn create_comment(&self, _text: StrTendril) -> Rc<Node> {
        self.nameless()
    }

    fn create_pi(&self, _target: StrTendril, _data: StrTendril) -> Rc<Node> {
        self.nameless()
    }

    fn append(&self, parent: &Rc<Node>, child: NodeOrText<Rc<Node>>) {
        self.put(&child, parent.depth.get() + 1, parent.formats.get());
    }

    fn append_based_on_parent_node(
        &self,
        element: &Rc<Node>,
        previous: &Rc<Node>,
        child: NodeOrText<Rc<Node>>,
    ) {
        Self::count(&self.moves);
        let depth = element.depth.get().max(previous.depth.get() + 1);
        self.put(&child, depth, previous.formats.get());
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Rc<Node>) -> Rc<Node> {
        Rc::clone(target)
    }

    fn same_node(&self, one: &Rc<Node>, other: &Rc<Node>) -> bool {
        Rc::ptr_eq(one, other)
    }

    fn set_quirks_mode(&self, _mode: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Rc<Node>, node: NodeOrText<Rc<Node>>) {
        Self::count(&self.moves);
        self.put(&node, sibling.depth.get(), sibling.formats.get());
    }

    fn add_attrs_if_missing(&self, _target: &Rc<Node>, _attributes: Vec<Attribute>) {}

    fn remove_from_parent(&self, _target: &Rc<Node>) {
        Self::count(&self.moves);
    }

    fn reparent_children(&self, _node: &Rc<Node>, _parent: &Rc<Node>) {
        Self::count(&self.moves);
    }
}

#[cfg(test)]
mod tests {
    use super::has_room_for;

    #[test]
    fn text_costs_its_length_for_each_character_that_is_escaped() {
        const MANY: usize = 150_000;
        // A no-break space, and what begins with the same byte.
        for escaped in ["&", "&amp;", "\u{a0}", "«"] {
            let alone = escaped.repeat(MANY);
            assert!(!has_room_for(&alone), "{escaped}");
            assert!(!has_room_for(&format!("<p title='{alone}'>")), "{escaped}");
            // The same in pieces, each of which is looked through by itself.
            let short = escaped.repeat(100);
            for pieces in [
                format!("{short}<br>").repeat(MANY / 100),
                format!("{short}&lt;").repeat(MANY / 100),
                format!("<p title='{short}&quot;'>").repeat(MANY / 100 / 50),
            ] {
                assert!(has_room_for(&pieces), "{escaped}");
            }
        }
        // A book in one paragraph, with a quotation in every line.
        assert!(has_room_for(
            &"«To be», said he, «or not to be: that is it»; and so on. ".repeat(5_000)
        ));
        assert!(has_room_for(&"a".repeat(1_000_000)));
    }
}
