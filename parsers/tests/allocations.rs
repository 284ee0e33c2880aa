//! The hot path does not allocate per record: what a batch needs comes from its arena and from buffers that
//! are kept between batches.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, ParseContext, Parser, RecordBatch, Timestamp, pivots};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged; only a counter is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps this function's contract, which is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RECORDS: usize = 500;

/// One record per frequent format.
const SAMPLES: [&str; 8] = [
    "Nov 21 21:03:11 h sshd[2210]: Failed password for invalid user admin from 203.0.113.77 port 40112 ssh2",
    "2026-11-21T21:05:00.000001+07:00 web01 sudo:    thuha : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id",
    "<165>1 2003-10-11T22:14:15.003+07:00 host app 8710 ID47 [a@1 iut=\"3\"] An application event",
    "type=EXECVE msg=audit(1795312800.123:901): argc=3 a0=\"curl\" a1=\"-o\" a2=2F746D702F612062",
    "203.0.113.5 - - [21/Nov/2026:21:00:01 +0700] \"GET /a?x=%2e HTTP/1.1\" 400 803 \"-\" \"Mozilla/5.0\"",
    "{\"EventID\":13,\"SourceName\":\"Microsoft-Windows-Sysmon\",\"Channel\":\"Microsoft-Windows-Sysmon/Operational\",\"Image\":\"C:\\\\a.exe\",\"Hostname\":\"h\",\"@timestamp\":\"2026-11-21T14:00:01.123Z\",\"EventType\":\"SetValue\"}",
    "CEF:0|a|b|1|100|name|3|src=198.51.100.2 dst=10.0.0.1 msg=two words act=blocked",
    "time=2026-11-21T14:00:00Z level=warn msg=\"failed login\" user=lan ip=203.0.113.5",
];

#[test]
fn a_record_costs_no_allocation() {
    for sample in SAMPLES {
        let mut batch = RecordBatch::new(Arc::new(Origin {
            format: "auto".into(),
            ..Origin::default()
        }));
        for position in 0..RECORDS {
            batch.push(
                sample.as_bytes(),
                position as u64,
                Timestamp::from_seconds(1_795_316_400),
                Truncated::No,
            );
        }
        let mut parser = Parser::new(ParseContext::default());
        // The first batch makes the buffers; the arena is large enough from the start.
        let warm_up = Bump::new();
        parser.parse_batch(&batch, &warm_up, &mut Vec::new());
        let arena = Bump::with_capacity(8 << 20);
        let mut events = Vec::with_capacity(RECORDS);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        parser.parse_batch(&batch, &arena, &mut events);
        let found = events
            .iter()
            .filter(|event| pivots(event).message.is_some() || !event.fields.is_empty())
            .count();
        let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(found, RECORDS);
        assert!(
            allocated < RECORDS / 10,
            "{allocated} allocations for {RECORDS} records like {sample}"
        );
        assert!(
            events.iter().all(|event| event.problems.is_empty()),
            "{sample}"
        );
    }
}
