//! What goes wrong, chosen by a seed.

use std::time::Duration;

use super::site::Site;
use super::support::{signal, wait_for};

/// SplitMix64: the same seed, the same faults.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }
}

/// A fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// kill -9, and a new start.
    KillAgent,
    KillEngine,
    KillStore,
    KillBroker,
    /// The group shares its partitions anew.
    AddEngine,
    RemoveEngine,
    /// The store answers nobody for longer than an engine may go without polling.
    StallStore,
    /// An engine stands still until the others have its partitions, and then goes on as if nothing had been.
    StallEngine,
    /// The same while its insert is on its way to a store that stands still, too.
    StallEngineInInsert,
    /// An engine is killed with its insert on its way.
    KillEngineInInsert,
    /// The store's disk has so little room that it takes no insert.
    FillDisk,
}

impl Fault {
    const ALL: [Self; 11] = [
        Self::KillAgent,
        Self::KillEngine,
        Self::KillStore,
        Self::KillBroker,
        Self::AddEngine,
        Self::RemoveEngine,
        Self::StallStore,
        Self::StallEngine,
        Self::StallEngineInInsert,
        Self::KillEngineInInsert,
        Self::FillDisk,
    ];

    /// So many faults: each kind in turn, in an order of their own each time.
    pub(crate) fn sequence(random: &mut Random, count: u64, can_fill: bool) -> Vec<Self> {
        let mut sequence = Vec::new();
        while (sequence.len() as u64) < count {
            let mut left = Self::ALL.to_vec();
            left.retain(|fault| can_fill || !matches!(fault, Self::FillDisk));
            while !left.is_empty() {
                sequence.push(left.swap_remove(random.index(left.len())));
            }
        }
        sequence.truncate(usize::try_from(count).unwrap());
        sequence
    }

    /// What has to be so before records are written.
    pub(crate) fn prepare(self, site: &Site, random: &mut Random) {
        if let Self::FillDisk = self {
            let disk = site.disk.as_ref().unwrap();
            disk.fill_up_to((130 + random.below(120)) << 20);
        }
    }

    /// Lets it happen, and mends what has to be mended by hand.
    pub(crate) fn happen(self, site: &mut Site, random: &mut Random) {
        let some_engine = random.index(site.engines.len());
        match self {
            Self::KillAgent => site.kill_agent(),
            Self::KillEngine => site.kill_engine(some_engine),
            Self::KillStore => site.kill_store(),
            Self::KillBroker => site.broker.kill_and_start(),
            Self::AddEngine => {
                if site.engines.len() >= Site::ENGINES_MAX {
                    site.stop_engine(some_engine);
                }
                site.add_engine();
            }
            Self::RemoveEngine => {
                if site.engines.len() < 2 {
                    site.add_engine();
                }
                site.stop_engine(some_engine);
            }
            Self::StallStore => {
                signal(site.store_id(), "STOP");
                std::thread::sleep(Site::POLL_INTERVAL_MAX + Duration::from_secs(1));
                signal(site.store_id(), "CONT");
            }
            Self::StallEngine => {
                site.have_two_engines();
                stall_engine(site, some_engine);
            }
            Self::StallEngineInInsert => {
                site.have_two_engines();
                signal(site.store_id(), "STOP");
                // Long enough for what it has to be on its way.
                std::thread::sleep(Duration::from_millis(600));
                let engine = site.engines[some_engine].id();
                signal(engine, "STOP");
                std::thread::sleep(Site::SESSION + Duration::from_millis(random.below(2_000)));
                // Who took over asks what is stored while the insert is being made.
                signal(site.store_id(), "CONT");
                std::thread::sleep(Duration::from_millis(random.below(2_000)));
                signal(engine, "CONT");
            }
            Self::KillEngineInInsert => {
                signal(site.store_id(), "STOP");
                std::thread::sleep(Duration::from_millis(600));
                site.kill_engine(some_engine);
                std::thread::sleep(Duration::from_millis(random.below(1_000)));
                signal(site.store_id(), "CONT");
            }
            Self::FillDisk => {
                let before = site.inserts_refused().unwrap_or(0);
                wait_for("an insert to be refused", || {
                    (site.inserts_refused()? > before).then_some(())
                });
                std::thread::sleep(Duration::from_millis(random.below(2_000)));
                site.disk.as_ref().unwrap().free();
            }
        }
    }
}

fn stall_engine(site: &Site, engine: usize) {
    let engine = site.engines[engine].id();
    signal(engine, "STOP");
    std::thread::sleep(Site::SESSION + Duration::from_secs(2));
    signal(engine, "CONT");
}
