//! The tags of an incident: those of all its rules, the rule first that it is called after.

/// Tags that an incident keeps: rules have a handful each.
const TAGS_MAX: usize = 200;

/// Both lists as one, each tag once, the first list's first; they are JSON as the database keeps them.
pub(crate) fn joined_tags(first: &str, second: &str) -> String {
    let read = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap_or_default();
    let mut tags = read(first);
    for tag in read(second) {
        if tags.len() < TAGS_MAX && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    serde_json::json!(tags).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tag_is_there_once_and_the_first_list_leads() {
        let joined = joined_tags(r#"["attack.t1110","x"]"#, r#"["x","attack.t1059"]"#);
        assert_eq!(joined, r#"["attack.t1110","x","attack.t1059"]"#);
        assert_eq!(joined_tags("", r#"["a"]"#), r#"["a"]"#);
    }
}
