//! What goes to a server elsewhere is compressed with LZ4, in ClickHouse's own framing, and what it says it wrote is compared.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};

use citywatch_engine::store::{Store, StoreConfig, StoreError};

use crate::sample::rows;

/// Of one compressed block: 16 bytes of checksum, the method, the sizes with this header of nine bytes.
const CHECKSUM_BYTES: usize = 16;
const LZ4: u8 = 0x82;

/// A request's first line and its body.
fn request(stream: &TcpStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        (line.trim_end().to_owned(), line.len())
    };
    let (first, _) = line();
    while !line().0.is_empty() {}
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).unwrap();
        if size == 0 {
            return (first, body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// Bytes before and after packing of all blocks of a body.
fn blocks(mut body: &[u8]) -> (usize, usize) {
    let (mut packed, mut unpacked) = (0, 0);
    while !body.is_empty() {
        let block = &body[CHECKSUM_BYTES..];
        assert_eq!(block[0], LZ4);
        let number = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap()) as usize;
        packed += number(1);
        unpacked += number(5);
        body = &block[number(1)..];
    }
    (unpacked, packed)
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_to_a_server_elsewhere_are_packed() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let config = StoreConfig {
        // No address of loopback, and yet of this machine.
        url: format!("http://0.0.0.0:{}", listener.local_addr().unwrap().port()),
        ..StoreConfig::default()
    };
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let came = request(&stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nX-ClickHouse-Summary: {\"written_rows\":\"1000\"}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        came
    });
    let store = Store::connect(&config).unwrap();
    store.insert_events(&rows("bulk", 0, 1_000)).await.unwrap();
    let (first, body) = server.join().unwrap();
    assert!(first.contains("decompress=1"), "{first}");
    assert!(
        first.contains("FORMAT+Native") || first.contains("FORMAT%20Native"),
        "{first}"
    );
    let (unpacked, packed) = blocks(&body);
    assert!(packed * 3 < unpacked, "{unpacked} bytes became {packed}");
}

/// A server that takes inserts and answers each with the next of these heads.
fn server(answers: Vec<String>) -> (StoreConfig, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = StoreConfig {
        url: format!("http://{}", listener.local_addr().unwrap()),
        ..StoreConfig::default()
    };
    let serve = move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            asked.push(request(&stream).0);
            let rest = "Content-Length: 0\r\nConnection: close\r\n\r\n";
            let answer = format!("HTTP/1.1 200 OK\r\n{answer}{rest}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
        asked
    };
    (config, std::thread::spawn(serve))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_are_compared_with_rows_sent() {
    let summary = |rows: u64| {
        format!("X-ClickHouse-Summary: {{\"read_rows\":\"0\",\"written_rows\":\"{rows}\"}}\r\n")
    };
    let answers = vec![
        summary(100),
        // With those of a materialized view.
        summary(200),
        summary(99),
        String::new(),
        "X-ClickHouse-Summary: {\"read_rows\":\"0\"}\r\n".to_owned(),
    ];
    let (config, server) = server(answers);
    let store = Store::connect(&config).unwrap();
    let block = rows("told", 0, 100);
    store.insert_events(&block).await.unwrap();
    store.insert_events(&block).await.unwrap();
    let lost = store.insert_events(&block).await.unwrap_err();
    assert!(
        matches!(
            lost,
            StoreError::RowsLost {
                table: "events",
                sent: 100,
                written: 99
            }
        ) && !lost.is_retryable(),
        "{lost}"
    );
    for _ in 0..2 {
        let untold = store.insert_events(&block).await.unwrap_err();
        assert!(
            matches!(untold, StoreError::RowsUntold { sent: 100, .. }) && untold.is_retryable(),
            "{untold}"
        );
        assert!(untold.to_string().contains("X-ClickHouse-Summary"));
    }
    // The number is the final one only if the server waits for the end.
    for asked in server.join().unwrap() {
        assert!(asked.contains("wait_end_of_query=1"), "{asked}");
    }
}
