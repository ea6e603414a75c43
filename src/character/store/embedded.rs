//! Characters in the embedded file.

use std::iter;

use async_trait::async_trait;
use mongodb::bson::{DateTime, oid::ObjectId};
use rusqlite::{Row, ToSql, Transaction, ffi, params, params_from_iter, types::Type};

use super::{EVIDENCE_KEPT, Found, LARGEST, Store, StoreError, Wanted};
use crate::{
    auth::Caller,
    character::{
        filter::{CharacterFilter, Condition},
        model::{Changes, Character},
    },
    embedded::{Embedded, EmbeddedError},
};

/// The table `Characters`, with `effects` beside it.
pub struct EmbeddedStore(Embedded);

impl EmbeddedStore {
    /// The store in `file`.
    #[must_use]
    pub fn new(file: Embedded) -> Self {
        Self(file)
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn create(&self, c: Character, _: DateTime) -> Result<(), StoreError> {
        let insert = "INSERT INTO Characters (_id, Name, Description, Image, Image_Real, User_Id, createdAt, updatedAt)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (_id) DO NOTHING";
        let own = "SELECT 1 FROM Characters WHERE _id = ? AND User_Id = ?";
        let work = move |tx: &Transaction<'_>| {
            // A character has the id of the job that made it, and deleting it records that id.
            if happened(tx, c.id)? {
                return Ok(true);
            }
            let (id, at) =
                (c.id.to_hex(), (c.created_at.timestamp_millis(), c.updated_at.timestamp_millis()));
            let values = params![id, c.name, c.description, c.image, c.image_real, c.user, at.0, at.1];
            let made = tx.prepare_cached(insert)?.execute(values)? == 1;
            fits(tx, &id)?;
            Ok(made || tx.prepare_cached(own)?.exists((&id, &c.user))?)
        };
        if self.0.transaction(work).await? { Ok(()) } else { Err(StoreError::taken()) }
    }

    async fn newest(
        &self,
        caller: &Caller,
        filter: &CharacterFilter,
        wanted: Wanted,
    ) -> Result<Vec<Found>, StoreError> {
        let (clause, values) = translate(caller, filter);
        let bytes = wanted.bytes.to_string();
        let limit = wanted.limit.to_string();
        let values: Vec<_> = iter::once(bytes).chain(values).chain([limit]).collect();
        // The texts of a large one are not even read from the file.
        let [name, description, image, image_real] = ["Name", "Description", "Image", "Image_Real"]
            .map(|text| format!("CASE WHEN {SIZE} <= CAST(?1 AS INTEGER) THEN {text} END"));
        let select = format!(
            "SELECT _id, {name}, {description}, {image}, {image_real}, User_Id, createdAt, updatedAt, {SIZE}
            FROM Characters WHERE {clause} ORDER BY createdAt DESC, _id DESC LIMIT CAST(? AS INTEGER)"
        );
        let work = move |tx: &Transaction<'_>| {
            let found = |row: &Row<'_>| found(row, wanted.bytes);
            tx.prepare_cached(&select)?.query_map(params_from_iter(values), found)?.collect()
        };
        Ok(self.0.transaction(work).await?)
    }

    async fn update(
        &self,
        caller: &Caller,
        id: ObjectId,
        changes: Changes,
        at: DateTime,
        job: ObjectId,
    ) -> Result<bool, StoreError> {
        let user = caller.user().to_owned();
        let update = move |tx: &Transaction<'_>| {
            let (fields, values): (Vec<_>, Vec<_>) = changes.into_fields().unzip();
            let set = fields.join(" = ?, ");
            let update =
                format!("UPDATE Characters SET {set} = ?, updatedAt = ? WHERE _id = ? AND User_Id = ?");
            let (at, id) = (at.timestamp_millis(), id.to_hex());
            let values =
                values.iter().map(|value| value as &dyn ToSql).chain([&at as &dyn ToSql, &id, &user]);
            let updated = tx.prepare_cached(&update)?.execute(params_from_iter(values))?;
            fits(tx, &id)?;
            Ok(updated)
        };
        Ok(self.0.transaction(move |tx| once(tx, job, &[job], update)).await?)
    }

    async fn delete(&self, caller: &Caller, id: ObjectId, job: ObjectId) -> Result<bool, StoreError> {
        let user = caller.user().to_owned();
        let delete = move |tx: &Transaction<'_>| {
            tx.prepare_cached("DELETE FROM Characters WHERE _id = ? AND User_Id = ?")?
                .execute((id.to_hex(), user))
        };
        Ok(self.0.transaction(move |tx| once(tx, job, &[job, id], delete)).await?)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.0.transaction(|tx| tx.query_row("SELECT 1", (), |_| Ok(()))).await?)
    }
}

/// Applies the effect of `job` to one row, unless that has happened; returns whether it has now. If so, `jobs` will not
/// run again.
fn once(
    tx: &Transaction<'_>,
    job: ObjectId,
    jobs: &[ObjectId],
    effect: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<usize>,
) -> rusqlite::Result<bool> {
    if happened(tx, job)? {
        return Ok(true);
    }
    if effect(tx)? == 0 {
        return Ok(false);
    }
    let now = DateTime::now();
    let mut keep =
        tx.prepare_cached("INSERT INTO effects (job, expires) VALUES (?, ?) ON CONFLICT DO NOTHING")?;
    // Each insert removes up to two expired rows, so the table shrinks without ever being searched.
    let mut forget = tx.prepare_cached(
        "DELETE FROM effects WHERE rowid IN (SELECT rowid FROM effects ORDER BY rowid LIMIT 2) AND expires < ?",
    )?;
    for job in jobs {
        forget.execute([now.timestamp_millis()])?;
        keep.execute((job.bytes(), now.saturating_add_duration(EVIDENCE_KEPT).timestamp_millis()))?;
    }
    Ok(true)
}

fn happened(tx: &Transaction<'_>, job: ObjectId) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM effects WHERE job = ?")?.exists([job.bytes()])
}

/// The filter in SQL, with its values; the caller's id is a condition of its own, separate from what was asked for.
fn translate(caller: &Caller, filter: &CharacterFilter) -> (String, Vec<String>) {
    let (mut clauses, mut values) = (vec!["User_Id = ?".to_owned()], vec![caller.user().to_owned()]);
    for condition in &filter.0 {
        let (field, any_of) = match condition {
            Condition::Id(ids) => ("_id", ids.iter().map(|id| id.to_hex()).collect()),
            Condition::Text(field, any_of) => (field.name(), any_of.clone()),
        };
        let places = vec!["?"; any_of.len()].join(", ");
        clauses.push(format!("{field} IN ({places})"));
        values.extend(any_of);
    }
    (clauses.join(" AND "), values)
}

/// The size of a row's texts in bytes, for which SQLite reads no more than their lengths.
const SIZE: &str =
    "(octet_length(Name) + octet_length(Description) + octet_length(Image) + octet_length(Image_Real))";

/// Checks that a character that was just written is not larger than MongoDB would keep.
fn fits(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<()> {
    let large = format!("SELECT 1 FROM Characters WHERE _id = ? AND {SIZE} > CAST(? AS INTEGER)");
    if tx.prepare_cached(&large)?.exists((id, LARGEST.to_string()))? {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
    }
    Ok(())
}

fn found(row: &Row<'_>, most: usize) -> rusqlite::Result<Found> {
    let bytes = usize::try_from(row.get::<_, i64>(8)?).unwrap_or_default();
    Ok(if bytes > most { Found::Large { id: id(row)?, bytes } } else { Found::Whole(character(row)?) })
}

fn id(row: &Row<'_>) -> rusqlite::Result<ObjectId> {
    let id = row.get_ref(0)?.as_str()?;
    ObjectId::parse_str(id)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into()))
}

fn character(row: &Row<'_>) -> rusqlite::Result<Character> {
    Ok(Character {
        id: id(row)?,
        name: row.get(1)?,
        description: row.get(2)?,
        image: row.get(3)?,
        image_real: row.get(4)?,
        user: row.get(5)?,
        created_at: DateTime::from_millis(row.get(6)?),
        updated_at: DateTime::from_millis(row.get(7)?),
    })
}

impl From<EmbeddedError> for StoreError {
    fn from(error: EmbeddedError) -> Self {
        if error.is_too_large() { Self::TooLarge } else { Self::Unavailable(error.to_string()) }
    }
}
