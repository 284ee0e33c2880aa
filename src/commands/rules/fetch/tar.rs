//! Reads tar archives: ustar, with the long names of GNU and of pax. Links and devices are left out.
//!
//! Source: POSIX.1-2017, `pax`, "ustar Interchange Format" and "pax Extended Header"; GNU tar's manual, "Basic Tar Format".

use std::io::Read;

use anyhow::{Context, bail};

const BLOCK_BYTES: usize = 512;
/// Bytes of a name's own member.
const NAME_BYTES_MAX: u64 = 1 << 16;
/// Bytes that all members together may have, those that are skipped included.
const BYTES_MAX: u64 = 4 << 30;

/// Calls `take` with the name and content of each regular file.
///
/// # Errors
/// When it is no tar archive, is cut off, or `take` fails.
pub(super) fn members(
    mut archive: impl Read,
    mut take: impl FnMut(&str, &mut dyn Read) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut long_name: Option<String> = None;
    let mut bytes = 0;
    let mut block = [0; BLOCK_BYTES];
    loop {
        archive
            .read_exact(&mut block)
            .context("the .tar.gz archive is cut off")?;
        // Blocks of zeros stand at the end.
        if block.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        check_sum(&block)?;
        let size = octal(&block[124..136]).context("a size in the .tar.gz archive is no number")?;
        bytes += size;
        if bytes > BYTES_MAX {
            bail!("more than {BYTES_MAX} bytes in the .tar.gz archive; nothing was changed");
        }
        let padding = size.next_multiple_of(BLOCK_BYTES as u64) - size;
        let mut content = archive.by_ref().take(size);
        match block[156] {
            b'0' | 0 | b'7' => {
                let name = long_name.take().unwrap_or_else(|| short_name(&block));
                take(&name, &mut content)?;
            }
            b'L' => long_name = Some(text(&read_name(&mut content)?)),
            b'x' => {
                if let Some(path) = pax_path(&read_name(&mut content)?) {
                    long_name = Some(path);
                }
            }
            // What holds for all members says nothing about names; all else is no file.
            b'g' => {}
            _ => long_name = None,
        }
        std::io::copy(&mut content, &mut std::io::sink())?;
        std::io::copy(&mut archive.by_ref().take(padding), &mut std::io::sink())?;
    }
}

/// The sum of a header's bytes, its own place taken as blanks, is written in it.
fn check_sum(block: &[u8; BLOCK_BYTES]) -> anyhow::Result<()> {
    let own = 148..156;
    let written = octal(&block[own.clone()]);
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(place, &byte)| u64::from(if own.contains(&place) { b' ' } else { byte }))
        .sum();
    if written != Some(sum) {
        bail!(
            "not a .tar.gz archive, or a broken one: a header's sum is wrong; nothing was changed"
        );
    }
    Ok(())
}

/// A number in octal digits, blanks and zeros around it.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches([' ', '\0']);
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(digits, 8).ok()
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

/// Prefix and name of a ustar header.
fn short_name(block: &[u8; BLOCK_BYTES]) -> String {
    let name = text(&block[..100]);
    let is_ustar = block[257..].starts_with(b"ustar\0");
    match text(&block[345..500]) {
        prefix if is_ustar && !prefix.is_empty() => format!("{prefix}/{name}"),
        _ => name,
    }
}

fn read_name(content: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    let mut name = Vec::new();
    content.take(NAME_BYTES_MAX + 1).read_to_end(&mut name)?;
    if name.len() as u64 > NAME_BYTES_MAX {
        bail!(
            "a name of more than {NAME_BYTES_MAX} bytes in the .tar.gz archive; nothing was changed"
        );
    }
    Ok(name)
}

/// `path` among the records `length key=value\n`.
fn pax_path(records: &[u8]) -> Option<String> {
    let mut rest = records;
    let mut path = None;
    while !rest.is_empty() {
        let blank = rest.iter().position(|&byte| byte == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..blank]).ok()?.parse().ok()?;
        let record = rest.get(blank + 1..length)?;
        if let Some(value) = record.strip_prefix(b"path=") {
            path = Some(text(value.strip_suffix(b"\n").unwrap_or(value)));
        }
        rest = &rest[length..];
    }
    path
}
