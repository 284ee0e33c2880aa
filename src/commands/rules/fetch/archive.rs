//! Archives of rules, `.zip` and `.tar.gz`: only rule files and licenses are taken, and nothing of it leads elsewhere.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;

use super::tar;

/// Bounds of an archive.
const FILES_MAX: usize = 100_000;
const FILE_BYTES_MAX: u64 = 10 << 20;
const BYTES_MAX: u64 = 1 << 30;

/// Writes the rule files of an archive below `into`; returns how many.
pub(super) fn unpack(archive: &mut File, into: &Path) -> anyhow::Result<usize> {
    let mut magic = [0; 4];
    let length = archive.read(&mut magic)?;
    archive.rewind()?;
    let mut taken = Taken {
        into,
        seen: 0,
        files: 0,
        bytes: 0,
    };
    match &magic[..length] {
        [0x1F, 0x8B, ..] => tar::members(MultiGzDecoder::new(archive), |name, content| {
            taken.member(name, content)
        })?,
        [b'P', b'K', ..] => unzip(archive, &mut taken)?,
        _ => bail!("neither a .zip nor a .tar.gz file; nothing was changed"),
    }
    if taken.files == 0 {
        bail!("there are no rule files in the archive; nothing was changed");
    }
    Ok(taken.files)
}

fn unzip(archive: &mut File, taken: &mut Taken<'_>) -> anyhow::Result<()> {
    let mut archive = zip::ZipArchive::new(archive).context("not a .zip file that can be read")?;
    for index in 0..archive.len() {
        let mut member = archive.by_index(index)?;
        let name = member.name().map(|name| name.to_string());
        if member.is_file() {
            taken.member(&name.unwrap_or_default(), &mut member)?;
        }
    }
    Ok(())
}

/// What was taken of an archive so far.
struct Taken<'p> {
    into: &'p Path,
    seen: usize,
    files: usize,
    bytes: u64,
}

impl Taken<'_> {
    /// Writes a file of the archive, if it is one of rules.
    fn member(&mut self, name: &str, content: &mut dyn Read) -> anyhow::Result<()> {
        self.seen += 1;
        if self.seen > FILES_MAX {
            bail!("more than {FILES_MAX} files in the archive; nothing was changed");
        }
        let last = name.rsplit('/').next().unwrap_or("");
        let is_rule = last.ends_with(".yml") || last.ends_with(".yaml");
        if !(is_rule || last.to_uppercase().starts_with("LICENSE")) {
            return Ok(());
        }
        // A name of an archive is hostile: it stays below the directory.
        if name.starts_with('/')
            || name.contains(['\\', '\0'])
            || name.split('/').any(|part| matches!(part, "" | "." | ".."))
        {
            bail!("{name:?}: a path that leads out of the archive; nothing was changed");
        }
        let mut text = Vec::new();
        content.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
        self.bytes += text.len() as u64;
        if text.len() as u64 > FILE_BYTES_MAX || self.bytes > BYTES_MAX {
            bail!("{name:?}: larger than a rule file may be; nothing was changed");
        }
        let path = self.into.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(self.into))?;
        std::fs::write(&path, &text)?;
        self.files += 1;
        Ok(())
    }
}
