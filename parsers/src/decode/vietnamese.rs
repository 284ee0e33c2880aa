//! Vietnamese encodings of before Unicode that browsers do not know: VISCII, TCVN3 (ABC fonts) and VNI for Windows.

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;
use unicode_normalization::UnicodeNormalization;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vietnamese {
    /// RFC 1456.
    Viscii,
    /// TCVN 5712:1993, its upper half. ABC fonts show capitals with tones by a font of their own, so they come as small letters.
    Tcvn3,
    /// A letter, and behind it a byte for its marks.
    Vni,
}

/// Their names, small letters and digits only.
const NAMES: [(&str, Vietnamese); 10] = [
    ("viscii", Vietnamese::Viscii),
    ("viscii11", Vietnamese::Viscii),
    ("csviscii", Vietnamese::Viscii),
    ("tcvn", Vietnamese::Tcvn3),
    ("tcvn3", Vietnamese::Tcvn3),
    ("tcvn5712", Vietnamese::Tcvn3),
    ("tcvn57121", Vietnamese::Tcvn3),
    ("abc", Vietnamese::Tcvn3),
    ("vni", Vietnamese::Vni),
    ("vniwindows", Vietnamese::Vni),
];

/// The bytes 0x80 to 0xFF of VISCII.
const VISCII: &str = "ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲÕắằặấầẩậẽẹếềểễệốồổỗỠƠộờởịỰỨỪỬơớƯÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳĐứÒÓÔạỷừửÙÚỹỵÝỡưàáâãảăữẫèéêẻìíĩỉđựòóôõỏọụùúũủýợỮ";
/// Letters that stand in the place of control characters in VISCII.
const VISCII_LOW: [(u8, char); 6] = [
    (0x02, 'Ẳ'),
    (0x05, 'Ẵ'),
    (0x06, 'Ẫ'),
    (0x14, 'Ỷ'),
    (0x19, 'Ỹ'),
    (0x1E, 'Ỵ'),
];

/// The bytes 0x80 to 0xFF of TCVN 5712; 0xB0 to 0xB4 are tones by themselves.
const TCVN: &str = "ÀẢÃÁẠẶẬÈẺẼÉẸỆÌỈĨÍỊÒỎÕÓỌỘỜỞỠỚỢÙỦŨ\u{A0}ĂÂÊÔƠƯĐăâêôơưđẰ\u{300}\u{309}\u{303}\u{301}\u{323}àảãáạẲằẳẵắẴẮẦẨẪẤỀặầẩẫấậèỂẻẽéẹềểễếệìỉỄẾỒĩíịòỔỏõóọồổỗốộờởỡớợùỖủũúụừửữứựỳỷỹýỵỐ";

/// VNI's bytes for marks behind a letter, and the marks (as characters that combine).
const VNI_MARKS: [(char, &str); 17] = [
    ('ø', "\u{300}"),
    ('ù', "\u{301}"),
    ('û', "\u{309}"),
    ('õ', "\u{303}"),
    ('ï', "\u{323}"),
    ('â', "\u{302}"),
    ('à', "\u{302}\u{300}"),
    ('á', "\u{302}\u{301}"),
    ('å', "\u{302}\u{309}"),
    ('ã', "\u{302}\u{303}"),
    ('ä', "\u{302}\u{323}"),
    ('ê', "\u{306}"),
    ('è', "\u{306}\u{300}"),
    ('é', "\u{306}\u{301}"),
    ('ú', "\u{306}\u{309}"),
    ('ü', "\u{306}\u{303}"),
    ('ë', "\u{306}\u{323}"),
];

/// VNI's letters that are one byte.
const VNI_LETTERS: [(char, char); 16] = [
    ('ì', 'ì'),
    ('í', 'í'),
    ('æ', 'ỉ'),
    ('ó', 'ĩ'),
    ('ò', 'ị'),
    ('ô', 'ơ'),
    ('ö', 'ư'),
    ('î', 'ỵ'),
    ('ñ', 'đ'),
    ('Æ', 'Ỉ'),
    ('Ó', 'Ĩ'),
    ('Ò', 'Ị'),
    ('Ô', 'Ơ'),
    ('Ö', 'Ư'),
    ('Î', 'Ỵ'),
    ('Ñ', 'Đ'),
];

/// The encoding of that name: `viscii`, `tcvn3`, `TCVN-5712`, `vni`, ....
pub(super) fn named(name: &str) -> Option<Vietnamese> {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let known = NAMES.iter().find(|(known, _)| *known == plain);
    known.map(|(_, encoding)| *encoding)
}

impl Vietnamese {
    /// The text that bytes mean; its letters carry their marks as people write them (NFC).
    pub(super) fn decode<'a>(self, raw: &[u8], arena: &'a Bump) -> &'a str {
        let mut text = ArenaString::with_capacity_in(raw.len() * 2, arena);
        match self {
            Self::Viscii => {
                let low = |byte: u8| VISCII_LOW.iter().find(|(known, _)| *known == byte);
                let table: Vec<char> = VISCII.chars().collect();
                text.extend(raw.iter().map(|byte| match byte {
                    0x80.. => table[usize::from(byte - 0x80)],
                    _ => low(*byte).map_or(char::from(*byte), |(_, letter)| *letter),
                }));
                text.into_bump_str()
            }
            Self::Tcvn3 => {
                let table: Vec<char> = TCVN.chars().collect();
                let letters = raw.iter().map(|byte| match byte {
                    0x80.. => table[usize::from(byte - 0x80)],
                    _ => char::from(*byte),
                });
                text.extend(letters.nfc());
                text.into_bump_str()
            }
            Self::Vni => {
                let mut marked = String::with_capacity(raw.len() * 2);
                let mut letter_before = None;
                for byte in raw {
                    let c = char::from(*byte);
                    let marks = letter_before.and_then(|letter| vni_marks(letter, c));
                    if let Some(marks) = marks {
                        marked.push_str(marks);
                        letter_before = None;
                        continue;
                    }
                    let single = VNI_LETTERS.iter().find(|(known, _)| *known == c);
                    let letter = single.map_or(c, |(_, letter)| *letter);
                    marked.push(letter);
                    letter_before = Some(letter);
                }
                text.extend(marked.nfc());
                text.into_bump_str()
            }
        }
    }
}

/// The marks that `c` gives the letter before it. Which letters take which is part of the encoding: `ó` behind a
/// consonant is a letter itself.
fn vni_marks(letter: char, c: char) -> Option<&'static str> {
    let c = c.to_lowercase().next().unwrap_or(c);
    let (_, marks) = VNI_MARKS.iter().find(|(known, _)| *known == c)?;
    let takes = match letter.to_lowercase().next().unwrap_or(letter) {
        'a' => true,
        'e' | 'o' => !marks.starts_with('\u{306}'),
        'u' | 'y' | 'ơ' | 'ư' => !marks.starts_with(['\u{306}', '\u{302}']),
        _ => false,
    };
    takes.then_some(*marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "Cộng hòa xã hội chủ nghĩa Việt Nam: mật khẩu của Nguyễn, đường Lê Lợi, Thủ Đức";

    fn decoded(encoding: Vietnamese, raw: &[u8]) -> String {
        encoding.decode(raw, &Bump::new()).to_owned()
    }

    /// What a document in TCVN3 or VNI looks like when it is shown as Latin-1, as people know it.
    fn latin_1(text: &str) -> Vec<u8> {
        text.chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect()
    }

    #[test]
    fn each_is_read_as_its_text() {
        let viscii = b"C\xB5ng h\xF2a x\xE3 h\xB5i ch\xFC ngh\xEEa Vi\xAEt Nam: m\xA7t kh\xA6u c\xFCa Nguy\xADn, \xF0\xDF\xB6ng L\xEA L\xFEi, Th\xFC \xD0\xD1c";
        assert_eq!(decoded(Vietnamese::Viscii, viscii), TEXT);
        let tcvn = latin_1(
            "Céng hßa x· héi chñ nghÜa ViÖt Nam: mËt khÈu cña NguyÔn, ®\u{AD}êng Lª Lîi, Thñ §øc",
        );
        assert_eq!(decoded(Vietnamese::Tcvn3, &tcvn), TEXT);
        let vni = latin_1(
            "Coäng hoøa xaõ hoäi chuû nghóa Vieät Nam: maät khaåu cuûa Nguyeãn, ñöôøng Leâ Lôïi, Thuû Ñöùc",
        );
        assert_eq!(decoded(Vietnamese::Vni, &vni), TEXT);
    }

    #[test]
    fn each_letter_has_its_byte() {
        for table in [VISCII, TCVN] {
            let mut letters: Vec<char> = table.chars().collect();
            assert_eq!(letters.len(), 128);
            letters.sort_unstable();
            letters.dedup();
            assert_eq!(letters.len(), 128);
        }
        let all = (0..=u8::MAX).collect::<Vec<u8>>();
        for encoding in [Vietnamese::Viscii, Vietnamese::Tcvn3, Vietnamese::Vni] {
            assert!(decoded(encoding, &all).contains('A'));
        }
        assert_eq!(
            decoded(Vietnamese::Viscii, &[2, 5, 6, 0x14, 0x19, 0x1E]),
            "ẲẴẪỶỸỴ"
        );
        // Every vowel with every mark, in both cases.
        let vni = latin_1(
            "aøaùaûaõaïaâaáaàaåaãaäaêaéaèaúaüaë eøeùeûeõeïeâeáeàeåeãeä AÙAÂAÁAËEÄOÂOÅÔÙÖÏUÏYØ iìíæóò yøyùyûyõî",
        );
        assert_eq!(
            decoded(Vietnamese::Vni, &vni),
            "àáảãạâấầẩẫậăắằẳẵặ èéẻẽẹêếềểễệ ÁÂẤẶỆÔỔỚỰỤỲ iìíỉĩị ỳýỷỹỵ"
        );
    }

    #[test]
    fn names_are_known_in_any_spelling() {
        assert_eq!(named("TCVN-5712:1"), Some(Vietnamese::Tcvn3));
        assert_eq!(named("VNI-Windows"), Some(Vietnamese::Vni));
        assert_eq!(named("viscii"), Some(Vietnamese::Viscii));
        assert_eq!(named("windows-1258"), None);
    }
}
