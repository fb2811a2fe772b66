//! Whose turn it is.

use std::cmp::Reverse;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::{Queue, Ticket, span};
use crate::{Store, StoreError};

/// Instances that are tried in turn: others may have taken all that the first had to do.
const TURNS: usize = 16;
/// How often the turns are looked up again when others were faster each time.
const ROUNDS: usize = 3;

/// An instance that has something to do in a queue, and what decides when it is its turn.
struct Turn {
    queue: Queue,
    instance: String,
    /// Priority of the first of its tickets.
    priority: i64,
    /// Tickets of it that somebody is at.
    running: i64,
    /// When the first of its tickets was written.
    created: i64,
}

impl Store {
    /// Claims what is to be done next in any of `queues`, for as long as `lease`; none when there is nothing. `worker` says who
    /// claims, for people who look into the database.
    pub async fn claim(&self, queues: &[Queue], worker: &str, lease: Duration) -> Result<Option<Ticket>, StoreError> {
        for _ in 0..ROUNDS {
            let turns = self.turns(queues).await?;
            if turns.is_empty() {
                break;
            }
            for turn in turns.iter().take(TURNS) {
                if let Some(ticket) = self.claim_of(turn, worker, lease).await? {
                    return Ok(Some(ticket));
                }
            }
        }
        Ok(None)
    }

    /// The instances that have something to do, in the order of their turns.
    async fn turns(&self, queues: &[Queue]) -> Result<Vec<Turn>, StoreError> {
        // The instances of a queue are found by skipping through the index from one to the next, their first tickets and the
        // number of those at work by looking into it: what is waiting is never read as a whole.
        let sql = format!(
            "WITH RECURSIVE active (instance_id) AS ( \
                 SELECT MIN(instance_id) FROM tickets WHERE queue = $1 \
                 UNION ALL \
                 SELECT (SELECT MIN(t.instance_id) FROM tickets t WHERE t.queue = $1 AND t.instance_id > a.instance_id) \
                 FROM active a WHERE a.instance_id IS NOT NULL \
             ), heads AS ( \
                 SELECT a.instance_id, \
                     (SELECT t.id FROM tickets t WHERE t.queue = $1 AND t.instance_id = a.instance_id AND t.ready_at <= {now} \
                      ORDER BY t.priority DESC, t.created_at LIMIT 1) AS head, \
                     (SELECT COUNT(*) FROM tickets r WHERE r.queue = $1 AND r.instance_id = a.instance_id \
                      AND r.lease IS NOT NULL AND r.ready_at > {now}) AS running \
                 FROM active a WHERE a.instance_id IS NOT NULL \
             ) \
             SELECT h.instance_id, h.running, t.priority, t.created_at FROM heads h JOIN tickets t ON t.id = h.head",
            now = self.backend.now()
        );
        let mut turns = Vec::new();
        for &queue in queues {
            let rows = sqlx::query(AssertSqlSafe(sql.clone())).bind(queue.name()).fetch_all(&self.pool).await?;
            for row in &rows {
                turns.push(Turn {
                    queue,
                    instance: row.try_get("instance_id")?,
                    priority: row.try_get("priority")?,
                    running: row.try_get("running")?,
                    created: row.try_get("created_at")?,
                });
            }
        }
        turns.sort_by_key(|turn| (Reverse(turn.priority), turn.running, turn.created));
        Ok(turns)
    }

    /// Claims the first ticket of an instance that nobody else is just claiming.
    async fn claim_of(&self, turn: &Turn, worker: &str, lease: Duration) -> Result<Option<Ticket>, StoreError> {
        let sql = format!(
            "UPDATE tickets SET lease = $3, worker = $4, ready_at = {now} + $5, attempts = attempts + 1 \
             WHERE id = (SELECT id FROM tickets WHERE queue = $1 AND instance_id = $2 AND ready_at <= {now} \
                         ORDER BY priority DESC, created_at LIMIT 1 {skip_locked}) \
             RETURNING id, subject, attempts, max_attempts",
            now = self.backend.now(),
            skip_locked = self.backend.skip_locked(),
        );
        let token = uuid::Uuid::new_v4().simple().to_string();
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(turn.queue.name())
            .bind(&turn.instance)
            .bind(&token)
            .bind(worker)
            .bind(span(lease))
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| ticket_of(&row, turn, token)).transpose()
    }
}

fn ticket_of(row: &AnyRow, turn: &Turn, lease: String) -> Result<Ticket, StoreError> {
    let attempts: i64 = row.try_get("attempts")?;
    let most: i64 = row.try_get("max_attempts")?;
    Ok(Ticket {
        id: row.try_get("id")?,
        queue: turn.queue,
        instance: turn.instance.clone(),
        subject: row.try_get("subject")?,
        attempt: u32::try_from(attempts).unwrap_or(u32::MAX),
        last_attempt: attempts >= most,
        spent: attempts > most,
        lease,
    })
}
