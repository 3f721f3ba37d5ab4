//! What passes between a service and its database: on MySQL by a proxy that reads the protocol, on SQLite
//! by what the connection tells of itself.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, Once};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};

use super::{Backend, TestDatabase};

/// One statement, or one that was prepared.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub sql: String,
    /// Its first execution on a connection costs a round trip more.
    pub is_preparation: bool,
    /// Bytes, with their headers; 0 on SQLite.
    pub sent: usize,
    pub received: usize,
}

impl Exchange {
    fn of(sql: String) -> Self {
        Self {
            sql,
            is_preparation: false,
            sent: 0,
            received: 0,
        }
    }
}

type Record = Arc<Mutex<Vec<Exchange>>>;

/// Listens to all connections that are opened to one database.
pub struct Wire {
    record: Record,
    /// The database's URL, by way of this.
    pub url: String,
}

impl Wire {
    pub fn to(database: &TestDatabase) -> Self {
        let record = Record::default();
        let url = match database.backend {
            Backend::Sqlite => {
                listen_to_sqlite(&database.url(), &record);
                database.url()
            }
            Backend::Mysql => {
                let mut url = url::Url::parse(&database.url()).unwrap();
                let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(3306));
                let address = listen_to_mysql(server, Arc::clone(&record));
                url.set_host(Some("127.0.0.1")).unwrap();
                url.set_port(Some(address.port())).unwrap();
                url.set_query(Some("prefer_socket=false"));
                url.to_string()
            }
        };
        Self { record, url }
    }

    /// What passed since the last call.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.record.lock().unwrap())
    }
}

// SQLite: every connection of the process tells, and those of other tests are not listened to.

static LISTENERS: LazyLock<Mutex<HashMap<String, Record>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Listener(Option<Record>);

impl Instrumentation for Listener {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => {
                self.0 = LISTENERS.lock().unwrap().get(url).cloned();
            }
            InstrumentationEvent::StartQuery { query, .. } => {
                if let Some(record) = &self.0 {
                    let told = query.to_string();
                    let sql = told.rsplit_once(" -- binds").map_or(&*told, |(sql, _)| sql);
                    record.lock().unwrap().push(Exchange::of(sql.to_owned()));
                }
            }
            _ => {}
        }
    }
}

fn listen_to_sqlite(url: &str, record: &Record) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        set_default_instrumentation(|| Some(Box::new(Listener::default()))).unwrap();
    });
    let path = url.strip_prefix("sqlite:").unwrap().to_owned();
    LISTENERS.lock().unwrap().insert(path, Arc::clone(record));
}

// MySQL: packets have a length of three bytes and a number, which is 0 for a client's command.

const QUERY: u8 = 0x03;
const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;
/// Without an answer.
const QUIET: [u8; 3] = [0x01, 0x18, 0x19];

fn listen_to_mysql(server: String, record: Record) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            client.set_nodelay(true).unwrap();
            let server = TcpStream::connect(&server).unwrap();
            server.set_nodelay(true).unwrap();
            let talk = Talk {
                record: Arc::clone(&record),
                state: Mutex::default(),
            };
            std::thread::spawn(move || talk.pass(&client, &server));
        }
    });
    address
}

/// One connection: a command and its answer by turns.
struct Talk {
    record: Record,
    state: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// By the number that the server gave.
    prepared: HashMap<u32, String>,
    /// What the next answer prepares.
    preparing: Option<String>,
    /// Where in the record the command stands that is being answered.
    current: Option<usize>,
}

impl Talk {
    fn pass(&self, client: &TcpStream, server: &TcpStream) {
        std::thread::scope(|scope| {
            scope.spawn(|| copy(server, client, |packet| self.answered(packet)));
            copy(client, server, |packet| self.asked(packet));
        });
    }

    fn asked(&self, packet: &[u8]) {
        let (number, body) = (packet[3], &packet[4..]);
        let Some(command) = body.first().filter(|_| number == 0) else {
            return;
        };
        if QUIET.contains(command) {
            return;
        }
        let mut told = self.state.lock().unwrap();
        let text = || String::from_utf8_lossy(&body[1..]).into_owned();
        let sql = match *command {
            QUERY | PREPARE => text(),
            EXECUTE => {
                let number = u32::from_le_bytes(body[1..5].try_into().unwrap());
                told.prepared.get(&number).cloned().unwrap_or_default()
            }
            other => format!("command {other:#x}"),
        };
        let is_preparation = *command == PREPARE;
        told.preparing = is_preparation.then(|| sql.clone());
        let mut record = self.record.lock().unwrap();
        told.current = Some(record.len());
        record.push(Exchange {
            is_preparation,
            sent: packet.len(),
            ..Exchange::of(sql)
        });
    }

    fn answered(&self, packet: &[u8]) {
        let (body, mut told) = (&packet[4..], self.state.lock().unwrap());
        if let Some(sql) = told.preparing.take() {
            let number = u32::from_le_bytes(body[1..5].try_into().unwrap());
            told.prepared.insert(number, sql);
        }
        let mut record = self.record.lock().unwrap();
        // It may have been taken since.
        if let Some(exchange) = told.current.and_then(|at| record.get_mut(at)) {
            exchange.received += packet.len();
        }
    }
}

/// Passes packets on, each shown before.
fn copy(mut from: &TcpStream, mut to: &TcpStream, show: impl Fn(&[u8])) {
    let mut packet = Vec::new();
    loop {
        packet.resize(4, 0);
        if from.read_exact(&mut packet).is_err() {
            break;
        }
        let length = u32::from_le_bytes([packet[0], packet[1], packet[2], 0]);
        packet.resize(4 + length as usize, 0);
        if from.read_exact(&mut packet[4..]).is_err() {
            break;
        }
        show(&packet);
        if to.write_all(&packet).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
