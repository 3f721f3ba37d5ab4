//! Messages in the files that stand for mails and text messages.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A message as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub job_id: i64,
    /// Address or number.
    pub to: String,
    /// The whole file.
    pub file: String,
    /// What is to be read: of a mail its part in plain text.
    pub text: String,
}

impl Sent {
    /// The six digits in it.
    pub fn code(&self) -> String {
        let is_digit = |c: char| c.is_ascii_digit();
        let mut words = self.text.split(|c: char| !c.is_alphanumeric());
        let code = words.find(|word| word.len() == 6 && word.chars().all(is_digit));
        code.expect("a message with a code").to_owned()
    }

    pub fn is_mail(&self) -> bool {
        self.file.starts_with("From: ")
    }
}

/// All messages, in the order of their jobs.
pub fn read(data: &Path) -> Vec<Sent> {
    let Ok(files) = std::fs::read_dir(data.join("outbox")) else {
        return Vec::new();
    };
    let mut sent: Vec<Sent> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let file = std::fs::read_to_string(&path).unwrap();
            let (_, rest) = name.split_once('-').unwrap();
            let (job_id, kind) = rest.split_once('.').unwrap();
            let (to, text) = if kind == "eml" {
                let line = file.lines().find_map(|line| line.strip_prefix("To: "));
                (line.unwrap().to_owned(), plain(&file))
            } else {
                let json: Value = serde_json::from_str(&file).unwrap();
                let member = |name: &str| json[name].as_str().unwrap().to_owned();
                (member("to"), member("text"))
            };
            Sent {
                job_id: job_id.parse().unwrap(),
                to,
                file,
                text,
            }
        })
        .collect();
    sent.sort_by_key(|sent| sent.job_id);
    sent
}

/// The part of a mail in plain text, which is its first.
fn plain(mail: &str) -> String {
    let (_, part) = mail.split_once("Content-Type: text/plain").unwrap();
    let (head, rest) = part.split_once("\r\n\r\n").unwrap();
    let body = rest.split("\r\n--").next().unwrap();
    if head.contains("base64") {
        let text: String = body.split_whitespace().collect();
        return String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
    }
    let mut bytes = Vec::new();
    let mut rest = body.replace("=\r\n", "").into_bytes().into_iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'=' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
