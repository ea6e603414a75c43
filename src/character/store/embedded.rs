//! Characters in the embedded file.

use async_trait::async_trait;
use mongodb::bson::{DateTime, oid::ObjectId};
use rusqlite::{Row, ToSql, Transaction, params, params_from_iter, types::Type};

use super::{EVIDENCE_KEPT, Store, StoreError};
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
            Ok(tx.prepare_cached(insert)?.execute(values)? == 1
                || tx.prepare_cached(own)?.exists((&id, &c.user))?)
        };
        if self.0.transaction(work).await? { Ok(()) } else { Err(StoreError::taken()) }
    }

    async fn newest(
        &self,
        caller: &Caller,
        filter: &CharacterFilter,
        limit: u32,
    ) -> Result<Vec<Character>, StoreError> {
        let (clause, mut values) = translate(caller, filter);
        values.push(limit.to_string());
        let select = format!(
            "SELECT _id, Name, Description, Image, Image_Real, User_Id, createdAt, updatedAt FROM Characters
            WHERE {clause} ORDER BY createdAt DESC, _id DESC LIMIT CAST(? AS INTEGER)"
        );
        let work = move |tx: &Transaction<'_>| {
            tx.prepare_cached(&select)?.query_map(params_from_iter(values), character)?.collect()
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
            tx.prepare_cached(&update)?.execute(params_from_iter(values))
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

fn character(row: &Row<'_>) -> rusqlite::Result<Character> {
    let id = row.get_ref(0)?.as_str()?;
    let id = ObjectId::parse_str(id)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into()))?;
    Ok(Character {
        id,
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
        Self::Unavailable(error.to_string())
    }
}
