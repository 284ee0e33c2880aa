//! Text as search sees it: lower-cased, without diacritics.
//!
//! Analysts type `tuan`, the log says `Tuấn`; ClickHouse's `lower()` knows ASCII only. Rows and
//! search words go through the same function, so both sides agree whatever it does.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Appends `text` to `folded`: lower-cased, canonically decomposed, combining marks dropped, `đ`
/// as `d`. ASCII, which most of a log is, takes a short cut.
pub fn fold_into(text: &str, folded: &mut String) {
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = ascii_len(rest.as_bytes());
        let start = folded.len();
        folded.push_str(&rest[..ascii]);
        folded[start..].make_ascii_lowercase();
        rest = &rest[ascii..];
        let other = rest
            .bytes()
            .position(|byte| byte.is_ascii())
            .unwrap_or(rest.len());
        fold_other(&rest[..other], folded);
        rest = &rest[other..];
    }
}

/// How many bytes are ASCII before the first that is not: asked of many at once, which the processor does together.
fn ascii_len(bytes: &[u8]) -> usize {
    let whole = bytes.chunks(64).take_while(|chunk| chunk.is_ascii());
    let len: usize = whole.map(<[u8]>::len).sum();
    let rest = bytes[len..].iter().position(|byte| !byte.is_ascii());
    len + rest.unwrap_or(bytes.len() - len)
}

/// A combining mark may follow an ASCII letter (`e` + U+0301): it is dropped here like any other.
fn fold_other(text: &str, folded: &mut String) {
    let letters = text.nfd().filter(|letter| !is_combining_mark(*letter));
    for letter in letters.flat_map(char::to_lowercase) {
        match letter {
            'đ' => folded.push('d'),
            // Lower-casing may itself bring a mark: `İ` becomes `i` and a dot above.
            letter if is_combining_mark(letter) => {}
            letter => folded.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(text: &str) -> String {
        let mut folded = String::new();
        fold_into(text, &mut folded);
        folded
    }

    #[test]
    fn vietnamese_loses_case_and_marks() {
        assert_eq!(
            fold("Đăng nhập THẤT BẠI: Nguyễn Văn Tuấn"),
            "dang nhap that bai: nguyen van tuan"
        );
        assert_eq!(
            fold("Phường Linh Xuân, TP. Hồ Chí Minh"),
            "phuong linh xuan, tp. ho chi minh"
        );
    }

    #[test]
    fn composed_and_decomposed_fold_alike() {
        assert_eq!(fold("e\u{302}\u{301} u\u{31b}"), "e u");
        assert_eq!(fold("\u{1ebf} \u{1b0}"), "e u");
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for text in [
            "İstanbul",
            "ẞtraße",
            "ΑΣ",
            "日本語",
            "C:\\Windows\\System32",
            "",
        ] {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }
}
