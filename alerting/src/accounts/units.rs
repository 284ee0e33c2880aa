//! The tree of units: names and places change, ids never do.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::Scope;
use crate::clock::Clock;
use crate::database::{Counter, Database, Write, storable};
use crate::incidents::rfc3339;
use crate::sql::Conditions;

/// Levels of the tree.
const DEPTH_MAX: usize = 32;
const UNIT_ID_CHARACTERS_MAX: usize = 64;
/// Units of one import.
const UNITS_MAX: usize = 20_000;

/// A unit as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Unit {
    /// Immutable: events carry it.
    pub(crate) id: String,
    pub(crate) name: String,
    /// The unit above it; empty at the top.
    pub(crate) parent: String,
    /// Counts its changes, for If-Match.
    pub(crate) version: i64,
    /// The unit that took it in; empty where none did.
    #[serde(skip)]
    merged_into: String,
}

/// What a unit is to be called and where it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UnitPlace {
    id: String,
    name: String,
    parent: String,
    merged_into: String,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Imported {
    /// Units that were added, renamed or moved.
    changed: usize,
    /// Lines from before a merge: what they say of the unit that was merged away was left out.
    merged: Vec<MergedLine>,
}

/// A line that names a unit which was merged away, as its own or as the unit above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct MergedLine {
    /// Its number, from 1.
    line: usize,
    /// The unit that was merged away.
    unit: String,
    /// The unit that took it in.
    into: String,
}

/// What a unit was called and where it was, for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct UnitPast {
    name: String,
    parent: String,
    from: String,
    to: String,
}

/// What is wrong with a line of a table of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineFault {
    #[error("a quote is not closed")]
    OpenQuote,
    #[error("the first line must be: id,name,parent")]
    NoHeader,
    #[error("three fields are needed")]
    NotThreeFields,
    #[error("id and name must not be empty")]
    Empty,
    #[error(
        "an id is 1 to 64 letters, digits or any of - _ . with / between its parts, like hcmc/ben-thanh; it never changes, \
         so give this unit another one"
    )]
    BadId,
    #[error("this id stood in an earlier line")]
    Twice,
    #[error("too many units")]
    TooMany,
}

/// Why the tree was not changed. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    /// The text is not what it should be.
    #[error("line {line}: {fault}")]
    Line { line: usize, fault: LineFault },
    /// A unit would stand above itself.
    #[error("the unit {unit:?} is its own ancestor, or deeper than 32 levels")]
    Loop { unit: String },
    /// A unit stands below one that does not exist.
    #[error("the unit {unit:?} has the unknown parent {parent:?}")]
    UnknownParent { unit: String, parent: String },
    /// There is none of that id.
    #[error("there is no such unit")]
    Missing,
    /// Somebody changed it since it was read.
    #[error("the unit was changed since you read it")]
    Conflict {
        /// Its version now.
        current: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Units in the database.
#[derive(Clone, Debug)]
pub(crate) struct Units {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
}

impl Units {
    /// The units of a scope, by id.
    pub(crate) async fn list(&self, scope: &Scope) -> Result<Vec<Unit>, sqlx::Error> {
        let mut conditions = Conditions::default();
        conditions.push("valid_to IS NULL");
        conditions.scope("id", scope);
        let sql = format!(
            "SELECT id, name, parent, version, merged_into FROM units{} ORDER BY id",
            conditions.clause()
        );
        let rows = conditions
            .query(sql)
            .fetch_all(self.database.pool())
            .await?;
        rows.iter().map(unit).collect()
    }

    /// Whether a scope covers the subtree of `root`; empty stands for the whole city.
    pub(crate) async fn covers(&self, scope: &Scope, root: &str) -> Result<bool, sqlx::Error> {
        let Scope::Subtree(own) = scope else {
            return Ok(true);
        };
        if own == root {
            return Ok(true);
        }
        let found: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM unit_ancestors WHERE ancestor = $1 AND unit = $2",
        )
        .bind(own.as_str())
        .bind(root)
        .fetch_one(self.database.pool())
        .await?;
        Ok(found > 0)
    }

    /// Whether there is such a unit: in the tree, or of an incident. Empty stands for the whole city; while there is no tree,
    /// nothing is known of any.
    pub(crate) async fn knows(&self, unit: &str) -> Result<bool, sqlx::Error> {
        if unit.is_empty() {
            return Ok(true);
        }
        let found: i64 = sqlx::query_scalar(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM units WHERE id = $1) \
             OR NOT EXISTS (SELECT 1 FROM units) \
             OR EXISTS (SELECT 1 FROM incidents WHERE unit = $1) THEN 1 ELSE 0 END",
        )
        .bind(unit)
        .fetch_one(self.database.pool())
        .await?;
        Ok(found > 0)
    }

    /// Takes units in from CSV with the columns id, name and parent. Units that are new are added, others
    /// renamed and moved; what they were stays known with its dates. A unit that was merged away stays where it is, and
    /// what would be below it goes below the one that took it in: a table from before does not undo a merge.
    pub(crate) async fn import(&self, csv: &str) -> Result<Imported, TreeError> {
        let lines = parse(csv)?;
        let mut merged = Vec::new();
        let changed = self
            .change(|tree| {
                let mut wanted = Vec::new();
                for (line, mut place) in lines {
                    let known = tree.get(&place.id);
                    if known.is_none() && !is_unit_id(&place.id) {
                        let fault = LineFault::BadId;
                        return Err(TreeError::Line { line, fault });
                    }
                    if let Some(known) = known.filter(|known| known.parent == place.parent) {
                        place.merged_into.clone_from(&known.merged_into);
                    } else if let Some(into) = taken_in(tree, &place.id) {
                        let unit = place.id;
                        merged.push(MergedLine { line, unit, into });
                        continue;
                    } else if let Some(into) = taken_in(tree, &place.parent)
                        && into != place.id
                    {
                        let unit = std::mem::replace(&mut place.parent, into.clone());
                        merged.push(MergedLine { line, unit, into });
                    }
                    wanted.push(place);
                }
                Ok(wanted)
            })
            .await?;
        Ok(Imported { changed, merged })
    }

    /// Gives a unit another name, another place, or both, if its version still is `seen_version`.
    pub(crate) async fn edit(
        &self,
        id: &str,
        seen_version: i64,
        name: Option<String>,
        parent: Option<String>,
    ) -> Result<usize, TreeError> {
        self.change(|tree| {
            let unit = seen(tree, id, seen_version)?;
            let parent = parent.unwrap_or_else(|| unit.parent.clone());
            // Who moves it on purpose takes the merge back.
            let merged_into = if parent == unit.parent {
                unit.merged_into.clone()
            } else {
                String::new()
            };
            Ok(vec![UnitPlace {
                id: unit.id.clone(),
                name: name.unwrap_or_else(|| unit.name.clone()),
                parent,
                merged_into,
            }])
        })
        .await
    }

    /// Puts a unit, and those right below it, below another, if its version still is `seen_version`.
    pub(crate) async fn merge(
        &self,
        id: &str,
        seen_version: i64,
        into: &str,
    ) -> Result<usize, TreeError> {
        self.change(|tree| {
            seen(tree, id, seen_version)?;
            let goes = |unit: &&Unit| unit.id == id || (unit.parent == id && unit.id != into);
            let placed = |unit: &Unit| UnitPlace {
                id: unit.id.clone(),
                name: unit.name.clone(),
                parent: into.to_owned(),
                merged_into: if unit.id == id || !unit.merged_into.is_empty() {
                    into.to_owned()
                } else {
                    String::new()
                },
            };
            Ok(tree.values().filter(goes).map(placed).collect())
        })
        .await
    }

    /// Adds, renames and moves units, all or none: those that `wanted` makes of the tree as it is. Returns how many
    /// changed.
    async fn change(
        &self,
        wanted: impl FnOnce(&BTreeMap<String, Unit>) -> Result<Vec<UnitPlace>, TreeError>,
    ) -> Result<usize, TreeError> {
        let mut write = self.database.write().await?;
        // Its lock lets changes follow each other: none is made of a tree that another has changed meanwhile.
        write.next(Counter::Tree).await?;
        let rows = sqlx::query(
            "SELECT id, name, parent, version, merged_into FROM units WHERE valid_to IS NULL",
        )
        .fetch_all(&mut *write)
        .await?;
        let mut tree: BTreeMap<String, Unit> = BTreeMap::new();
        for row in &rows {
            let unit = unit(row)?;
            tree.insert(unit.id.clone(), unit);
        }
        let mut changed = Vec::new();
        for place in wanted(&tree)? {
            let UnitPlace {
                id,
                name,
                parent,
                merged_into,
            } = place;
            let before = tree.get(&id);
            if before.is_some_and(|before| {
                (&before.name, &before.parent, &before.merged_into)
                    == (&name, &parent, &merged_into)
            }) {
                continue;
            }
            changed.push(Unit {
                version: before.map_or(0, |before| before.version) + 1,
                id,
                name: storable(&name).into_owned(),
                parent,
                merged_into,
            });
        }
        tree.extend(changed.iter().map(|unit| (unit.id.clone(), unit.clone())));
        let ancestors = ancestors(&tree)?;
        for unit in &changed {
            self.replace(&mut write, unit).await?;
        }
        sqlx::query("DELETE FROM unit_ancestors")
            .execute(&mut *write)
            .await?;
        for (ancestor, unit) in &ancestors {
            sqlx::query("INSERT INTO unit_ancestors (ancestor, unit) VALUES ($1, $2)")
                .bind(ancestor.as_str())
                .bind(unit.as_str())
                .execute(&mut *write)
                .await?;
        }
        write.commit().await?;
        Ok(changed.len())
    }

    /// One unit, if it may be seen.
    pub(crate) async fn one(&self, id: &str, scope: &Scope) -> Result<Option<Unit>, sqlx::Error> {
        let units = self.list(scope).await?;
        Ok(units.into_iter().find(|unit| unit.id == id))
    }

    /// The units above each, itself included.
    pub(crate) async fn above(&self) -> Result<HashMap<String, Vec<String>>, sqlx::Error> {
        let mut above: HashMap<String, Vec<String>> = HashMap::new();
        for row in sqlx::query("SELECT ancestor, unit FROM unit_ancestors")
            .fetch_all(self.database.pool())
            .await?
        {
            let unit: String = row.try_get("unit")?;
            above
                .entry(unit)
                .or_default()
                .push(row.try_get("ancestor")?);
        }
        Ok(above)
    }

    /// What a unit was called and where it was before, the latest first.
    pub(crate) async fn past(&self, id: &str) -> Result<Vec<UnitPast>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT name, parent, valid_from, valid_to FROM units \
             WHERE id = $1 AND valid_to IS NOT NULL ORDER BY valid_from DESC LIMIT 100",
        )
        .bind(id)
        .fetch_all(self.database.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(UnitPast {
                    name: row.try_get("name")?,
                    parent: row.try_get("parent")?,
                    from: rfc3339(row.try_get("valid_from")?),
                    to: rfc3339(row.try_get("valid_to")?),
                })
            })
            .collect()
    }

    async fn replace(&self, write: &mut Write, unit: &Unit) -> Result<(), sqlx::Error> {
        let now = self.clock.now().as_micros();
        // Twice within a microsecond: the later one stands.
        sqlx::query("DELETE FROM units WHERE id = $1 AND valid_from = $2")
            .bind(unit.id.as_str())
            .bind(now)
            .execute(&mut **write)
            .await?;
        sqlx::query("UPDATE units SET valid_to = $1 WHERE id = $2 AND valid_to IS NULL")
            .bind(now)
            .bind(unit.id.as_str())
            .execute(&mut **write)
            .await?;
        sqlx::query(
            "INSERT INTO units (id, name, parent, valid_from, version, merged_into) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(unit.id.as_str())
        .bind(unit.name.as_str())
        .bind(unit.parent.as_str())
        .bind(now)
        .bind(unit.version)
        .bind(unit.merged_into.as_str())
        .execute(&mut **write)
        .await?;
        Ok(())
    }
}

fn unit(row: &AnyRow) -> Result<Unit, sqlx::Error> {
    Ok(Unit {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        parent: row.try_get("parent")?,
        version: row.try_get("version")?,
        merged_into: row.try_get("merged_into")?,
    })
}

/// Whether a new unit may be called so: events, certificates and addresses carry it.
fn is_unit_id(id: &str) -> bool {
    let allowed = |character: char| character.is_alphanumeric() || "-_.".contains(character);
    id.chars().count() <= UNIT_ID_CHARACTERS_MAX
        && id
            .split('/')
            .all(|part| !part.is_empty() && part.chars().all(allowed))
}

/// The unit that took this one in, and was not taken in itself.
fn taken_in(tree: &BTreeMap<String, Unit>, id: &str) -> Option<String> {
    let into = |id: &str| {
        let unit = tree.get(id)?;
        (!unit.merged_into.is_empty()).then(|| unit.merged_into.clone())
    };
    let mut last = into(id)?;
    // Two that took each other in, one after the other, lead nowhere.
    for _ in 0..DEPTH_MAX {
        match into(&last) {
            Some(next) if next != id => last = next,
            _ => break,
        }
    }
    Some(last)
}

/// The unit, if it still is what was seen.
fn seen<'a>(
    tree: &'a BTreeMap<String, Unit>,
    id: &str,
    seen_version: i64,
) -> Result<&'a Unit, TreeError> {
    let unit = tree.get(id).ok_or(TreeError::Missing)?;
    if unit.version != seen_version {
        return Err(TreeError::Conflict {
            current: unit.version,
        });
    }
    Ok(unit)
}

/// Each unit with each above it, itself included; an error where the tree is none.
fn ancestors(tree: &BTreeMap<String, Unit>) -> Result<BTreeSet<(String, String)>, TreeError> {
    let mut pairs = BTreeSet::new();
    for unit in tree.values() {
        let mut above = unit;
        for depth in 0.. {
            if depth > DEPTH_MAX {
                return Err(TreeError::Loop {
                    unit: unit.id.clone(),
                });
            }
            pairs.insert((above.id.clone(), unit.id.clone()));
            if above.parent.is_empty() {
                break;
            }
            above = tree
                .get(&above.parent)
                .ok_or_else(|| TreeError::UnknownParent {
                    unit: above.id.clone(),
                    parent: above.parent.clone(),
                })?;
        }
    }
    Ok(pairs)
}

/// The lines of a table, each with its number.
fn parse(csv: &str) -> Result<Vec<(usize, UnitPlace)>, TreeError> {
    let mut units = Vec::new();
    let mut seen = BTreeSet::new();
    let csv = csv.strip_prefix('\u{feff}').unwrap_or(csv);
    for (number, line) in csv.lines().enumerate() {
        let line_number = number + 1;
        let wrong = |fault| TreeError::Line {
            line: line_number,
            fault,
        };
        let fields = fields(line).ok_or_else(|| wrong(LineFault::OpenQuote))?;
        if number == 0 {
            if fields != ["id", "name", "parent"] {
                return Err(wrong(LineFault::NoHeader));
            }
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let [id, name, parent] =
            <[String; 3]>::try_from(fields).map_err(|_| wrong(LineFault::NotThreeFields))?;
        if id.is_empty() || name.is_empty() {
            return Err(wrong(LineFault::Empty));
        }
        if !seen.insert(id.clone()) {
            return Err(wrong(LineFault::Twice));
        }
        if units.len() >= UNITS_MAX {
            return Err(wrong(LineFault::TooMany));
        }
        let merged_into = String::new();
        let place = UnitPlace {
            id,
            name,
            parent,
            merged_into,
        };
        units.push((line_number, place));
    }
    Ok(units)
}

/// Fields of a line (RFC 4180, but for line ends within quotes); none when a quote is not closed.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let field = fields.last_mut().expect("there is always one");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    (!quoted).then(|| {
        fields
            .iter()
            .map(|field| storable(field.trim()).into_owned())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_with_quotes_is_read() {
        let units =
            parse("\u{feff}id,name,parent\r\nu1,\"Phường \"\"1\"\", cũ\",\r\n\nu2, Ward 2 ,u1\n")
                .unwrap();
        let units: Vec<UnitPlace> = units.into_iter().map(|(_, place)| place).collect();
        assert_eq!(units[0].name, "Phường \"1\", cũ");
        assert_eq!(
            (units[1].name.as_str(), units[1].parent.as_str()),
            ("Ward 2", "u1")
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (csv, expected) in [
            (
                "name,id\n",
                "line 1: the first line must be: id,name,parent",
            ),
            ("id,name,parent\na,b\n", "line 2: three fields are needed"),
            ("id,name,parent\na,\"b,\n", "line 2: a quote is not closed"),
            (
                "id,name,parent\na,b,\na,c,\n",
                "line 3: this id stood in an earlier line",
            ),
        ] {
            assert_eq!(parse(csv).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn an_id_is_fit_for_addresses_and_files() {
        for id in [
            "hcmc",
            "hcmc/ben-thanh",
            "phường_1",
            "a.b/2",
            &"a".repeat(64),
        ] {
            assert!(is_unit_id(id), "{id}");
        }
        for id in [
            "x y!",
            "a//b",
            "/a",
            "a/",
            "a,b",
            "a\u{202e}b",
            &"a".repeat(65),
        ] {
            assert!(!is_unit_id(id), "{id}");
        }
    }

    #[test]
    fn a_circle_is_no_tree() {
        let units = parse("id,name,parent\na,A,b\nb,B,a\n").unwrap();
        let tree = units
            .into_iter()
            .map(|(_, place)| {
                let unit = Unit {
                    id: place.id.clone(),
                    name: place.name,
                    parent: place.parent,
                    version: 1,
                    merged_into: place.merged_into,
                };
                (place.id, unit)
            })
            .collect();
        assert!(
            ancestors(&tree)
                .unwrap_err()
                .to_string()
                .contains("its own ancestor")
        );
    }
}
