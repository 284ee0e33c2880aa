//! `--fix`: changes files where that is safe.

use std::path::Path;

use anyhow::Context;
use citywatch_rules::check::{Fix, apply};
use citywatch_rules::rule::Position;

use super::Checked;

/// What was changed.
#[derive(Debug, Default)]
pub(super) struct Fixed {
    pub(super) places: usize,
    pub(super) files: usize,
}

/// Applies all fixes; each file is replaced as a whole, or left as it was.
pub(super) fn fix(checked: &Checked) -> anyhow::Result<Fixed> {
    let mut fixed = Fixed::default();
    for source in &checked.sources {
        let own = checked
            .remarks
            .iter()
            .filter(|remark| remark.path == source.path);
        let fixes: Vec<(Position, &Fix)> = own
            .filter_map(|remark| Some((remark.position, remark.fix.as_ref()?)))
            .collect();
        if fixes.is_empty() {
            continue;
        }
        let (text, places) = apply(&source.text, &fixes);
        if places > 0 && text != *source.text {
            replace(Path::new(&*source.path), &text)
                .with_context(|| format!("cannot write {}", source.path))?;
            fixed.places += places;
            fixed.files += 1;
        }
    }
    Ok(fixed)
}

/// Writes beside the file and renames, so that nobody reads half of it; a link stays one.
pub(in super::super) fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(format!(".{}", name.to_string_lossy()));
    std::fs::write(&beside, text)?;
    std::fs::set_permissions(&beside, std::fs::metadata(&path)?.permissions())?;
    std::fs::rename(&beside, &path)
}
