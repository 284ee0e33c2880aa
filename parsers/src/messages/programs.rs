//! Which program a name is of. Names come again and again: what was found out about one is remembered.

use super::{PROGRAMS, Program};
use crate::bytes::same_bytes;

/// What a program's name says.
#[derive(Clone, Copy)]
pub(crate) struct Speaker {
    /// Where the name without path, instance and part begins and ends.
    name: (u32, u32),
    pub(super) known: Option<&'static Program>,
    /// Its number among the programs, where it is one that is known.
    pub(super) number: u8,
    /// Whether its messages go to the log of sign-ins.
    pub(super) is_auth: bool,
}

impl Speaker {
    /// Whether it is a program that is known here.
    pub(crate) fn is_known(&self) -> bool {
        self.known.is_some()
    }

    const NONE: Self = Self {
        name: (0, 0),
        known: None,
        number: 0,
        is_auth: false,
    };

    fn of(program: &str) -> Self {
        let name = base_name(program);
        let begin = name.as_ptr().addr() - program.as_ptr().addr();
        let known = program_named(name);
        let place = |at: usize| u32::try_from(at).expect("records are far shorter");
        Self {
            name: (place(begin), place(begin + name.len())),
            known: known.map(|(_, program)| program),
            number: known.map_or(0, |(number, _)| number),
            is_auth: is_auth_program(name),
        }
    }

    /// The name without path, instance and part, of the program that this was found out about.
    pub(super) fn name_in(self, program: &str) -> &str {
        let (begin, end) = self.name;
        &program[begin as usize..end as usize]
    }
}

/// Longer names are found out about each time.
const NAME_BYTES_MAX: usize = 24;
/// Names that are remembered: as many as eight bits tell apart.
const NAMES: usize = 256;

#[derive(Clone, Copy)]
struct Remembered {
    name: [u8; NAME_BYTES_MAX],
    len: usize,
    known: Speaker,
}

impl Remembered {
    #[cold]
    fn learn(&mut self, program: &str) {
        self.name[..program.len()].copy_from_slice(program.as_bytes());
        self.len = program.len();
        self.known = Speaker::of(program);
    }
}

/// What is remembered of names.
pub(crate) struct Programs {
    names: Box<[Remembered; NAMES]>,
}

impl Default for Programs {
    fn default() -> Self {
        let nothing = Remembered {
            name: [0; NAME_BYTES_MAX],
            len: 0,
            known: Speaker::NONE,
        };
        Self {
            names: Box::new([nothing; NAMES]),
        }
    }
}

impl Programs {
    /// What a program's name says: `sshd`, `postfix/smtpd`, `/usr/sbin/cron`.
    #[inline(always)]
    pub(super) fn of(&mut self, program: &str) -> Speaker {
        let bytes = program.as_bytes();
        let (Some(first), Some(last), len @ ..=NAME_BYTES_MAX) =
            (bytes.first(), bytes.last(), bytes.len())
        else {
            return Speaker::of(program);
        };
        let (middle, near_end) = (bytes[len / 2], bytes[len * 3 / 4]);
        let mix = u32::from_le_bytes([*first, middle, near_end, *last]) ^ (len as u32) << 16;
        let remembered = &mut self.names[(mix.wrapping_mul(0x9E37_79B1) >> 24) as usize];
        if !same_bytes(&remembered.name[..remembered.len], bytes) {
            remembered.learn(program);
        }
        remembered.known
    }
}

/// Names of programs by their length and their first letter's last bits, with the program's place plus one: most names are
/// told apart without reading them.
static BY_NAME: [[u8; SAME_START]; STARTS] = {
    let mut table = [[0; SAME_START]; STARTS];
    let mut place = 0;
    while place < PROGRAMS.len() {
        let names = PROGRAMS[place].names;
        let mut which = 0;
        while which < names.len() {
            let row = &mut table[start_of(names[which])];
            let mut free = 0;
            while row[free] != 0 && row[free] as usize != place + 1 {
                free += 1;
            }
            row[free] = place as u8 + 1;
            which += 1;
        }
        place += 1;
    }
    table
};
const STARTS: usize = 256;
/// Programs with names of the same length and start; the compiler says if there are more.
const SAME_START: usize = 4;

/// Which row a name stands in; the same for upper and lower case.
const fn start_of(name: &str) -> usize {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return 0;
    }
    (bytes.len() % 16) << 4 | (bytes[0] & 0x0F) as usize
}

/// The program of that name, in upper or lower case, and its number.
fn program_named(name: &str) -> Option<(u8, &'static Program)> {
    let row = &BY_NAME[start_of(name)];
    row.iter()
        .map_while(|place| {
            let number = place.checked_sub(1)?;
            Some((number, PROGRAMS.get(usize::from(number))?))
        })
        .find(|(_, program)| {
            program
                .names
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        })
}

/// Programs and facilities that Debian and Red Hat write to auth.log or secure.
fn is_auth_program(name: &str) -> bool {
    matches!(
        name,
        "sshd"
            | "sshd-session"
            | "sudo"
            | "su"
            | "systemd-logind"
            | "login"
            | "polkitd"
            | "gdm-password"
            | "useradd"
            | "usermod"
            | "groupadd"
            | "passwd"
    )
}

/// The program's name without path, instance and part: `/usr/sbin/cron`, `postfix/smtpd`, `(systemd)`.
fn base_name(program: &str) -> &str {
    // Most names have none of these.
    if !program
        .bytes()
        .any(|byte| matches!(byte, b'/' | b'(' | b')'))
    {
        return program;
    }
    if let Some((first, _)) = program.split_once('/')
        && !first.is_empty()
    {
        return first;
    }
    let name = program.rsplit('/').next().unwrap_or(program);
    name.trim_start_matches('(').trim_end_matches(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_found_out() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let mut names: Vec<String> = PROGRAMS
            .iter()
            .flat_map(|program| program.names)
            .flat_map(|name| {
                [
                    (*name).to_owned(),
                    name.to_uppercase(),
                    format!("/usr/sbin/{name}"),
                    format!("{name}/part"),
                    format!("({name})"),
                ]
            })
            .collect();
        names.extend(["", "/", "()", "é", &long].map(str::to_owned));
        let mut programs = Programs::default();
        for name in names.iter().chain(names.iter().rev()) {
            for _ in 0..2 {
                let (found, wanted) = (programs.of(name), Speaker::of(name));
                assert_eq!(found.name_in(name), base_name(name));
                assert_eq!(found.is_auth, wanted.is_auth, "{name}");
                assert_eq!(
                    found.known.map(|known| known.names),
                    wanted.known.map(|known| known.names),
                    "{name}"
                );
            }
        }
    }
}
