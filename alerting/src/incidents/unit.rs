//! The unit of an incident whose alerts come from several offices: the nearest one above all of them.
//!
//! Who sees a unit sees all that its incidents hold, and nothing else. So an incident that another office's alert joins is
//! seen from where both may be seen; who sees one of the offices alone does not see it any more, and it is nobody's
//! who does not see it. Where nothing stands above all, it is the whole city's.

use super::{Stamp, note};
use crate::database::Write;

/// The nearest unit above all of these, themselves included; empty where there is none.
pub(crate) async fn common_unit(write: &mut Write, units: &[&str]) -> Result<String, sqlx::Error> {
    let Some((first, others)) = units.split_first() else {
        return Ok(String::new());
    };
    let mut common = (*first).to_owned();
    for &unit in others {
        if unit == common || common.is_empty() {
            continue;
        }
        // The deepest of those above both has itself the most above it.
        let above: Option<String> = sqlx::query_scalar(
            "SELECT one.ancestor FROM unit_ancestors AS one JOIN unit_ancestors AS other \
             ON other.ancestor = one.ancestor AND other.unit = $2 WHERE one.unit = $1 \
             ORDER BY (SELECT COUNT(*) FROM unit_ancestors AS above WHERE above.unit = one.ancestor) DESC \
             LIMIT 1",
        )
        .bind(common.as_str())
        .bind(unit)
        .fetch_optional(&mut **write)
        .await?;
        common = above.unwrap_or_default();
    }
    Ok(common)
}

/// Moves an incident to another unit, says so in its history, and takes it from whoever cannot see it there.
pub(crate) async fn move_to(
    write: &mut Write,
    id: &str,
    (before, unit): (&str, &str),
    stamp: Stamp<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE incidents SET unit = $1 WHERE id = $2")
        .bind(unit)
        .bind(id)
        .execute(&mut **write)
        .await?;
    let [from, to] = [before, unit].map(|unit| if unit.is_empty() { "none" } else { unit });
    let what = format!("unit: {from} -> {to}");
    note(
        write,
        id,
        stamp,
        "unit",
        &what,
        &[("from", before), ("to", unit)],
    )
    .await?;
    // Who is no more, or sees the whole city, keeps it.
    let taken_from: Option<String> = sqlx::query_scalar(
        "SELECT incident.assignee FROM incidents AS incident JOIN users AS person \
         ON person.name = incident.assignee WHERE incident.id = $1 AND incident.state IN ('new', 'acknowledged', 'in_progress') \
         AND person.unit_root <> '' \
         AND person.unit_root <> incident.unit AND NOT EXISTS (SELECT 1 FROM unit_ancestors AS above \
         WHERE above.ancestor = person.unit_root AND above.unit = incident.unit)",
    )
    .bind(id)
    .fetch_optional(&mut **write)
    .await?;
    let Some(name) = taken_from else {
        return Ok(());
    };
    // It is somebody's change as much as one by hand: who decides on the version before is told.
    sqlx::query("UPDATE incidents SET assignee = NULL, version = version + 1 WHERE id = $1")
        .bind(id)
        .execute(&mut **write)
        .await?;
    let what = format!("assignee: {name} -> none");
    note(
        write,
        id,
        stamp,
        "assignee",
        &what,
        &[("from", &name), ("to", "none")],
    )
    .await
}
