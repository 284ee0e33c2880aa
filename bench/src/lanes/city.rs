//! Whom the varied events speak of: the hosts, users, addresses and programs of a city that is not real.

use super::random::Random;

const OFFICES: &[&str] = &[
    "UBND",
    "SOTTTT",
    "SOYTE",
    "SOTC",
    "PBENNGHE",
    "PLINHXUAN",
    "PTANDINH",
    "PBINHTHO",
    "TTGIS",
];
const FAMILY_NAMES: &[&str] = &[
    "nguyen", "tran", "le", "pham", "hoang", "phan", "vu", "dang", "bui", "do", "ho", "ngo",
    "duong", "ly",
];
const GIVEN_NAMES: &[&str] = &[
    "an", "binh", "chi", "dung", "giang", "ha", "hung", "khanh", "lan", "minh", "nam", "oanh",
    "phuc", "quan", "son", "thao", "tuan", "uyen", "viet", "yen",
];
const VENDORS: &[&str] = &[
    "VNPT", "Viettel", "FPT", "MISA", "BKAV", "Acme", "Contoso", "Kyocera", "Wacom", "Zalo",
];
const PROGRAMS: &[&str] = &[
    "Updater", "Agent", "Client", "Sync", "Viewer", "Editor", "Tray", "Helper", "Service",
    "Scanner", "Invoice", "Signer",
];
const ARGUMENTS: &[&str] = &[
    "",
    " --background",
    " /silent",
    " --type=renderer --lang=vi",
    " /auto /log",
    " -port 8443",
    " --check-now --channel stable",
];

/// The time of the first event: 2026-11-22T00:00:00Z.
const BEGIN_MS: i64 = 1_795_305_600_000;

/// Makes up names and moves the clock on.
#[derive(Clone, Debug)]
pub(crate) struct City {
    pub(crate) random: Random,
    now_ms: i64,
}

/// A program that no recording has.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) image: String,
    pub(crate) file: String,
    pub(crate) arguments: &'static str,
    pub(crate) vendor: &'static str,
}

impl City {
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        Self {
            random: Random::new(seed, purpose),
            now_ms: BEGIN_MS,
        }
    }

    /// The time of the next event: up to 40 milliseconds after the one before.
    pub(crate) fn next_ms(&mut self) -> i64 {
        self.now_ms += self.random.below(40) as i64;
        self.now_ms
    }

    /// One of 4,000 hosts.
    pub(crate) fn host(&mut self) -> String {
        let office = *self.random.pick(OFFICES);
        let kind = *self.random.pick(&["WS", "SRV", "PC", "NB"]);
        format!("{office}-{kind}-{:03}", self.random.skewed_below(444) + 1)
    }

    /// One of 28,000 users.
    pub(crate) fn user(&mut self) -> String {
        let family = *self.random.pick(FAMILY_NAMES);
        let given = *self.random.pick(GIVEN_NAMES);
        match self.random.skewed_below(100) {
            0 => format!("{given}.{family}"),
            number => format!("{given}.{family}{number}"),
        }
    }

    /// The name of an office's domain.
    pub(crate) fn domain(&mut self) -> &'static str {
        self.random.pick::<&'static str>(OFFICES)
    }

    /// An address within the city's network.
    pub(crate) fn inner_address(&mut self) -> String {
        format!(
            "10.{}.{}.{}",
            self.random.below(32),
            self.random.below(256),
            self.random.below(254) + 1
        )
    }

    /// An address of elsewhere: no real one, from the ranges for benchmarks and documentation.
    pub(crate) fn outer_address(&mut self) -> String {
        let net = *self.random.pick(&["198.18", "198.19"]);
        format!(
            "{net}.{}.{}",
            self.random.below(256),
            self.random.skewed_below(254) + 1
        )
    }

    /// A port that a client has.
    pub(crate) fn port(&mut self) -> usize {
        1_024 + self.random.below(64_000)
    }

    /// One of some thousand programs that are nothing special.
    pub(crate) fn program(&mut self) -> Program {
        let vendor = *self.random.pick(VENDORS);
        let name = *self.random.pick(PROGRAMS);
        let file = format!("{vendor}{name}{}.exe", self.random.skewed_below(40));
        Program {
            image: format!("C:\\Program Files\\{vendor}\\{name}\\{file}"),
            file,
            arguments: self.random.pick::<&'static str>(ARGUMENTS),
            vendor,
        }
    }
}
