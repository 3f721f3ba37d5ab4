//! The arithmetic of `docs/scaling.md`: what is called measured stands in `docs/performance.md`, and
//! what comes of it is what comes of it.

use std::collections::BTreeMap;

use crate::readme::read;

/// The rows of a table, by their first cell: numbers, without the commas of thousands.
fn table(text: &str, head: &str) -> BTreeMap<String, Vec<f64>> {
    let (_, after) = text.split_once(head).unwrap_or_else(|| panic!("{head}"));
    let rows = after
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let name = cells.next().unwrap().to_owned();
        let numbers = cells.filter(|cell| !cell.is_empty());
        let number = |cell: &str| cell.replace(',', "").parse().unwrap_or(f64::NAN);
        (name, numbers.map(number).collect())
    })
    .collect()
}

fn one(table: &BTreeMap<String, Vec<f64>>, row: &str) -> f64 {
    table.get(row).unwrap_or_else(|| panic!("{row}"))[0]
}

/// The sum of 1/n up to that n (Euler and Maclaurin).
fn harmonic(n: f64) -> f64 {
    n.ln() + 0.577_215_664_901_532_9 + 0.5 / n
}

/// Whether a number that was written with so many digits after the point is this one.
#[track_caller]
fn is(written: f64, digits: i32, number: f64, what: &str) {
    let half = 0.5 / 10_f64.powi(digits) + 1e-9;
    assert!(
        (written - number).abs() <= half,
        "{what}: {written}, not {number}"
    );
}

#[test]
fn what_requests_cost_is_what_was_measured() {
    let (scaling, performance) = (read("docs/scaling.md"), read("docs/performance.md"));
    let costs = table(&scaling, "| request | ms |");
    // The first of the tables with processor time is the newest, and for what it does not have there is the next.
    let heads: Vec<&str> = performance.split("| requests/s | MariaDB |").collect();
    let measured = |name: &str| {
        let row = heads.iter().skip(1).find_map(|part| {
            part.lines()
                .find_map(|line| line.strip_prefix(&format!("| {name} | ")))
        });
        let (_, cost) = row
            .unwrap_or_else(|| panic!("{name}"))
            .split_once('(')
            .unwrap();
        cost.split_once(')').unwrap().0.parse::<f64>().unwrap()
    };
    for (name, cost) in &costs {
        if name == "an answer that is kept" {
            let rate = 103_465.0;
            assert!(performance.contains("| one post, again and again | 103,465 |"));
            is(cost[0], 3, 2.0 / rate * 1000.0, name);
        } else {
            // Seconds for a thousand requests are milliseconds for one.
            is(cost[0], 6, measured(name), name);
        }
    }
    assert_eq!(costs.len(), 6);
    assert!(performance.contains("85 µs of the server and 37 µs of MariaDB"));
}

#[test]
fn a_million_readers_a_minute_need_what_is_said() {
    let text = read("docs/scaling.md");
    let costs = table(&text, "| request | ms |");
    let given = table(&text, "| supposition | number |");
    let come = table(&text, "| what | a second | processors |");
    let readers = one(&given, "readers a minute") / 60.0;
    let memory = one(
        &given,
        "memory for answers, MB a process (`INKPOT_CACHE_MB`)",
    );
    let held = (memory * 1024.0 / one(&given, "KB of memory for a kept post")).floor();
    let found_of = |posts: f64| harmonic(held) / harmonic(posts);
    let found = found_of(one(&given, "posts"));
    let posts = readers * one(&given, "posts that a reader asks for");
    let lists = readers * one(&given, "lists that a reader asks for");
    let kept_lists = one(&given, "lists that are kept, of a hundred") / 100.0;
    let rows = [
        (
            "answers that are kept",
            posts * found + lists * kept_lists,
            "an answer that is kept",
        ),
        (
            "posts that are not",
            posts * (1.0 - found),
            "a post at random",
        ),
        (
            "lists that are not",
            lists * (1.0 - kept_lists),
            "lists of authors and tags",
        ),
        (
            "searches",
            readers * one(&given, "readers who search, of a thousand") / 1000.0,
            "search, one post has it",
        ),
        (
            "publishing",
            one(&given, "posts published a second"),
            "publish 1.5 KB, 2 tags",
        ),
        (
            "logins",
            readers * one(&given, "readers who log in, of a thousand") / 1000.0,
            "login, cost 12, 4 clients",
        ),
    ];
    let (mut requests, mut processors, mut asked) = (0.0, 0.0, 0.0);
    for (name, rate, cost) in rows {
        let needed = rate * one(&costs, cost) / 1000.0;
        let written = &come[name];
        is(written[0], 0, rate, name);
        // Costs are written with two or three digits; so are sums of them.
        assert!(
            (written[1] - needed).abs() < 0.02,
            "{name}: {written:?}, not {needed}"
        );
        requests += rate;
        processors += needed;
        if !["answers that are kept", "logins"].contains(&name) {
            asked += needed;
        }
    }
    assert_eq!(come.len(), rows.len() + 2);
    is(come["together"][0], 0, requests, "together");
    assert!(
        (come["together"][1] - processors).abs() < 0.02,
        "{processors}"
    );
    is(
        come["with every machine half idle"][0],
        2,
        come["together"][1] * 2.0,
        "half idle",
    );
    for said in [
        format!("{:.1} of a hundred posts", found * 100.0),
        format!("holds {} of them", thousands(held)),
        format!("it were {:.1}", found_of(1e7) * 100.0),
        format!("million {:.1}:", found_of(1e9) * 100.0),
        format!("{asked:.2} processors with the server's"),
        format!("{:.2} processors. One primary", asked * 37.0 / 122.0),
        format!("{} answers of 3 KB", thousands(requests.round())),
        format!(
            "are {:.1} Gbit a second",
            requests * 3.0 * 1024.0 * 8.0 / 1e9
        ),
        format!("are {:.0} GB", one(&given, "posts") * 3.0 / 1e6),
    ] {
        let one_line = text.replace('\n', " ");
        assert!(one_line.contains(&said), "{said:?} is not there");
    }
}

#[test]
fn what_processes_cost_each_other_grows_as_is_said() {
    let text = read("docs/scaling.md");
    let costs = table(&text, "| what | one | ten | a thousand |");
    assert_eq!(costs.len(), 5);
    for (n, processes) in [1.0, 10.0, 1000.0].into_iter().enumerate() {
        // Reads, writes, searches, housekeeping: docs/reliability.md.
        let connections =
            |pool: f64| processes * (pool * 2.0 + (pool / 4.0).floor().max(1.0) + 2.0);
        for (row, number) in [
            (
                "connections to the primary, `INKPOT_DB_POOL=10`",
                connections(10.0),
            ),
            ("the same with `INKPOT_DB_POOL=1`", connections(1.0)),
            (
                "queries a second at the primary to follow the others",
                processes * 8.0,
            ),
            (
                "looks a second at the heartbeat there, with a replica",
                processes * 4.0,
            ),
            (
                "deliveries a second by Redis of heartbeats between processes",
                processes * processes * 5.0,
            ),
        ] {
            is(costs[row][n], 0, number, row);
        }
    }
}

/// With commas between thousands.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn thousands(number: f64) -> String {
    let digits = (number as u64).to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
