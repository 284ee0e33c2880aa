//! Which letters fold to which.

use std::collections::HashMap;

use crate::fold::fold_char;

/// The letters that fold to each letter, itself first; looked up once they are asked for.
#[derive(Debug, Default)]
pub(super) struct Letters {
    same: HashMap<char, Vec<char>>,
}

impl Letters {
    /// The letters that fold to this folded one, itself first.
    pub(super) fn same_as(&mut self, folded: char) -> &[char] {
        if self.same.is_empty() {
            for c in '\0'..=char::MAX {
                let folded = fold_char(c);
                if folded != c {
                    let same = self.same.entry(folded).or_insert_with(|| vec![folded]);
                    same.push(c);
                }
            }
        }
        self.same.entry(folded).or_insert_with(|| vec![folded])
    }
}
