use proptest::prelude::*;

use super::*;

fn origin() -> Arc<Origin> {
    Arc::new(Origin {
        unit: "u-0042".into(),
        agent: "gate".into(),
        stream: "/var/log/auth.log#1".into(),
        host: Some("gate-1".into()),
        format: "syslog".into(),
        log_source: LogSource {
            product: "linux".into(),
            ..LogSource::default()
        },
    })
}

fn sample() -> RecordBatch {
    let mut batch = RecordBatch::new(origin());
    batch.push(
        b"first line",
        0,
        Timestamp(1_763_000_000_000_000),
        Truncated::No,
    );
    batch.push(b"", 11, Timestamp(1_763_000_000_000_001), Truncated::No);
    batch.push(
        "kết thúc".as_bytes(),
        u64::MAX,
        Timestamp(-5),
        Truncated::Yes,
    );
    batch
}

/// A frame around `body` as it is, checksum and sizes right: what a hostile sender can make.
fn forge(records: u32, raw_bytes: u32, body_bytes: u32, packed: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; HEADER_BYTES];
    frame[..4].copy_from_slice(&MAGIC);
    frame[4] = VERSION;
    frame[6..10].copy_from_slice(&records.to_le_bytes());
    frame[10..14].copy_from_slice(&raw_bytes.to_le_bytes());
    frame[14..18].copy_from_slice(&body_bytes.to_le_bytes());
    frame.extend_from_slice(packed);
    let checksum = checksum(&frame);
    frame[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    frame
}

#[test]
fn a_batch_survives_the_round_trip() {
    let frame = encode(&sample()).unwrap();
    assert_eq!(peek(&frame).unwrap().records, 3);
    assert_eq!(decode(&frame, &DecodeLimits::default()).unwrap(), sample());
    let empty = RecordBatch::new(origin());
    assert_eq!(
        decode(&encode(&empty).unwrap(), &DecodeLimits::default()).unwrap(),
        empty
    );
}

#[test]
fn a_frame_cut_or_changed_anywhere_is_an_error() {
    let frame = encode(&sample()).unwrap();
    for length in 0..frame.len() {
        assert!(
            decode(&frame[..length], &DecodeLimits::default()).is_err(),
            "cut to {length} bytes"
        );
    }
    for at in 0..frame.len() {
        let mut damaged = frame.clone();
        damaged[at] ^= 0x10;
        assert!(
            decode(&damaged, &DecodeLimits::default()).is_err(),
            "byte {at} changed"
        );
    }
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let honest = forge(1, 0, 64 << 20, &bomb);
    assert!(matches!(
        decode(&honest, &DecodeLimits::default()),
        Err(FrameError::TooLarge { .. })
    ));
    let lying = forge(1, 10, 20, &bomb);
    assert!(matches!(
        decode(&lying, &DecodeLimits::default()),
        Err(FrameError::Unpack(_))
    ));
}

#[test]
fn lying_counts_are_refused() {
    let body = encode_body(&sample());
    let packed = zstd::bulk::compress(&body, 1).unwrap();
    let (raw, all) = (sample().bytes() as u32, body.len() as u32);
    assert!(decode(&forge(3, raw, all, &packed), &DecodeLimits::default()).is_ok());
    for (records, raw_bytes) in [
        (2, raw),
        (4, raw),
        (900_000, raw),
        (3, raw - 1),
        (3, raw + 1),
        (3, all + 1),
    ] {
        let frame = forge(records, raw_bytes, all, &packed);
        assert!(
            decode(&frame, &DecodeLimits::default()).is_err(),
            "{records} records, {raw_bytes} bytes"
        );
    }
    assert!(matches!(
        decode(
            &forge(2_000_000, raw, all, &packed),
            &DecodeLimits::default()
        ),
        Err(FrameError::TooLarge { .. })
    ));
}

#[test]
fn messages_say_what_to_do() {
    assert!(
        decode(b"{\"message\":\"not ours\"}", &DecodeLimits::default())
            .unwrap_err()
            .to_string()
            .contains("citywatch-agent")
    );
    let mut later = encode(&sample()).unwrap();
    later[4] = 9;
    assert!(
        decode(&later, &DecodeLimits::default())
            .unwrap_err()
            .to_string()
            .contains("update the engine")
    );
}

proptest! {
    #[test]
    fn every_batch_survives_the_round_trip(
        texts in prop::array::uniform7("\\PC{0,20}"),
        host in prop::option::of("[a-z]{0,9}"),
        records in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..80), 1_u64..1 << 40, any::<i64>(), any::<bool>()), 0..40),
    ) {
        let [unit, agent, stream, format, product, category, service] = texts;
        let origin = Origin {
            unit: unit.as_str().into(),
            agent: agent.as_str().into(),
            stream: stream.as_str().into(),
            host: host.map(Arc::from),
            format: format.into(),
            log_source: LogSource { product: product.into(), category: category.into(), service: service.into() },
        };
        let mut batch = RecordBatch::new(Arc::new(origin));
        let mut position = 0;
        for (raw, step, received_at, cut) in records {
            position += step;
            batch.push(&raw, position, Timestamp(received_at), if cut { Truncated::Yes } else { Truncated::No });
        }
        prop_assert_eq!(decode(&encode(&batch).unwrap(), &DecodeLimits::default()).unwrap(), batch);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes, &DecodeLimits::default());
        let packed = zstd::bulk::compress(&bytes, 1).unwrap();
        for raw in [0, bytes.len() as u32 / 2, bytes.len() as u32] {
            for records in [0, 1, 3] {
                let _ = decode(&forge(records, raw, bytes.len() as u32, &packed), &DecodeLimits::default());
            }
        }
    }
}
