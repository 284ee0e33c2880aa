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

/// Records of the frequent formats, and of the kinds that bench/ measures.
const SAMPLES: &[&str] = &[
    "Nov 21 21:03:11 h sshd[2210]: Failed password for invalid user admin from 203.0.113.77 port 40112 ssh2",
    "<38>Nov 21 21:03:11 h sshd[2210]: pam_unix(sshd:session): session opened for user lan(uid=1002) by (uid=0)",
    "<38>Nov 21 21:03:11 h sshd[2210]: Connection closed by authenticating user lan 198.18.0.1 port 40112 [preauth]",
    "<38>Nov 21 21:03:11 h sshd[2210]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=198.18.0.1  user=lan",
    "<85>Nov 21 21:03:11 h sudo[7]: lan : command not allowed ; TTY=pts/0 ; PWD=/home/lan ; USER=root ; COMMAND=/usr/bin/id",
    "<30>Nov 21 21:03:11 h systemd[1]: Started session-7.scope - Session 7 of User lan.",
    "<22>Nov 21 21:03:11 h postfix/smtpd[7]: connect from unknown[198.18.0.1]",
    "<78>Nov 21 21:03:11 h CRON[2210]: (root) CMD (run-parts /etc/cron.hourly)",
    "<78>Nov 21 21:03:11 h CRON[2210]: a message of cron that no pattern knows",
    "<22>Nov 21 21:03:11 h postfix/qmgr[901]: 4F1D0: from=<lan@hcmc.example>, size=512, nrcpt=1 (queue active)",
    "<22>Nov 21 21:03:11 h dovecot[901]: imap-login: Login: user=<lan>, method=PLAIN, rip=10.0.0.7, lip=10.0.0.5, mpid=77, TLS, session=<a>",
    "<4>Nov 21 21:03:11 h kernel: [82508.1] [UFW BLOCK] IN=eth0 OUT= MAC=52:54 SRC=198.18.0.1 DST=10.0.0.1 LEN=40 PROTO=TCP SPT=1 DPT=22 URGP=0",
    "<134>Nov 21 21:03:11 h egov-gateway[77]: request 4711 of lan took 31 ms",
    "<134>Nov 21 21:03:11 h Egov-Gateway[77]: request 4711 of [lan] took 31 ms",
    "2026-11-21T21:05:00.000001+07:00 web01 sudo:    thuha : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id",
    "<165>1 2003-10-11T22:14:15.003+07:00 host app 8710 ID47 [a@1 iut=\"3\"] An application event",
    "<165>1 2026-11-21T22:14:15.003123+07:00 host egov-gateway 8710 - [timeQuality tzKnown=\"1\" isSynced=\"1\" syncAccuracy=\"898533\"][anIdThatIsMuchLonger@32473 aNameThatIsLong=\"x \\\"y\\\"\"] worker 13 has done 36159 jobs",
    "<38>1 2026-11-21T22:14:15.003+07:00 host sshd 8710 - [origin ip=\"10.0.0.1\" software=\"rsyslogd\"] Connection closed by authenticating user lan 198.18.0.1 port 40 [preauth]",
    "type=EXECVE msg=audit(1795312800.123:901): argc=3 a0=\"curl\" a1=\"-o\" a2=2F746D702F612062",
    "203.0.113.5 - - [21/Nov/2026:21:00:01 +0700] \"GET /a?x=%2e HTTP/1.1\" 400 803 \"-\" \"Mozilla/5.0\"",
    "203.0.113.5 - lan [21/Nov/2026:21:00:01 +0700] \"POST / HTTP/1.1\" 200 - \"https://a.example/\" \"curl \\\"x\\\"\"",
    "{\"EventID\":13,\"SourceName\":\"Microsoft-Windows-Sysmon\",\"Channel\":\"Microsoft-Windows-Sysmon/Operational\",\"Image\":\"C:\\\\a.exe\",\"Hostname\":\"h\",\"@timestamp\":\"2026-11-21T14:00:01.123Z\",\"EventType\":\"SetValue\"}",
    // Lists of plain values, shorter and longer than expected.
    "{\"@timestamp\":\"2026-11-21T14:00:01.123Z\",\"EventID\":4799,\"Channel\":\"Security\",\"SourceName\":\"Microsoft-Windows-Security-Auditing\",\"Keywords\":[\"audit\",\"of \\\"groups\\\"\"],\"Numbers\":[1,-2.5,true,null,5,6,7,8,9,10],\"None\":[],\"Hostname\":\"h\"}",
    "{\"time\":\"2026-11-21T14:00:01Z\",\"host\":\"h\",\"tags\":[\"one\"],\"level\":\"info\",\"message\":\"said\"}",
    "{\"timestamp\":\"2026-11-21T14:00:01.123456+0000\",\"flow_id\":1,\"event_type\":\"dns\",\"src_ip\":\"10.0.0.1\",\"dns\":{\"type\":\"query\",\"rrname\":\"a.example\",\"answers\":[{\"a\":1},{\"a\":2}]}}",
    "CEF:0|a|b|1|100|name|3|src=198.51.100.2 dst=10.0.0.1 msg=two words act=blocked",
    "CEF:0|a|b|1|100|na\\|me|3|rt=1795305600000 src=198.51.100.2 request=https://a.example/?id\\=1 suser=lan",
    "time=2026-11-21T14:00:00Z level=warn msg=\"failed login\" user=lan ip=203.0.113.5",
    "date=2026-11-21 time=21:00:00 devname=\"FGT\" devid=\"FG1\" logid=\"0000000013\" type=\"traffic\" srcip=10.0.0.1 srcport=5 dstip=198.18.0.1 action=\"deny\"",
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
