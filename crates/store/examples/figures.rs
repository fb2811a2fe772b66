//! What the store costs: claims a second, the cost of a job beside its recognition, and lists with very many finished jobs, on SQLite
//! and on PostgreSQL, with everything synced as in production.
//!
//! ```text
//! cargo run --release --package dictum-store --example figures
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;
use dictum_store::{Blob, NewRecognition, Queue, Store, StoreConfig, Ticket};
use dictum_testbed::Places;

type Failure = Box<dyn std::error::Error>;

/// Finished jobs in the table.
const FINISHED: usize = 100_000;
/// Jobs that are created and worked on.
const JOBS: usize = 500;
/// Bytes of the audio of a job.
const AUDIO: usize = 200_000;
const LEASE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!("| what | SQLite, directory | PostgreSQL, S3 |\n|---|---|---|");
    let embedded = measure(&Places::embedded()).await?;
    let servers = match Places::private_servers("figures") {
        Some(places) => Some(measure(&places).await?),
        None => None,
    };
    for (at, (what, figure)) in embedded.iter().enumerate() {
        let other = servers.as_ref().map_or("-", |servers| servers[at].1.as_str());
        println!("| {what} | {figure} | {other} |");
    }
    Ok(())
}

fn new_job(instance: &str) -> NewRecognition {
    NewRecognition {
        instance: instance.to_owned(),
        request: "{}".to_owned(),
        callback: None,
        ttl: Duration::from_secs(7 * 86_400),
        customer: None,
    }
}

async fn audio(store: &Store) -> Result<Blob, Failure> {
    let mut writer = store.blobs().writer();
    writer.write(Bytes::from(vec![1; AUDIO])).await?;
    Ok(writer.finish().await?)
}

async fn claimed(store: &Store) -> Result<Ticket, Failure> {
    Ok(store.claim(&[Queue::Recognition], "figures", LEASE).await?.ok_or("nothing to claim")?)
}

/// The median of some durations, and what 99 in a hundred are below, in milliseconds.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let milliseconds = |at: usize| times[at].as_secs_f64() * 1e3;
    format!("{:.1} ms (99 %: {:.1})", milliseconds(times.len() / 2), milliseconds(times.len() * 99 / 100))
}

async fn timed<T>(times: &mut Vec<Duration>, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let began = Instant::now();
    let outcome = work.await;
    times.push(began.elapsed());
    outcome
}

async fn measure(places: &Places) -> Result<Vec<(&'static str, String)>, Failure> {
    let config = StoreConfig { database: places.database.clone(), blobs: places.blobs.clone() };
    let store = Store::connect(&config).await?;
    let instance = store.ensure_instance("figures").await?.id;
    let mut rows = Vec::new();

    // A job from its creation to its result, with nothing to recognise.
    let (mut stored, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..JOBS / 5 {
        let blob = timed(&mut stored, audio(&store)).await?;
        timed(&mut whole, async {
            store.create_recognition(&new_job(&instance), &blob).await?;
            let ticket = claimed(&store).await?;
            let work = store.begin_recognition(&ticket).await?.ok_or("no job")?;
            store.blobs().bytes(&work.blob, AUDIO as u64).await?;
            store.complete_recognition(&ticket, "{}").await?;
            Ok(())
        })
        .await?;
    }
    rows.push(("200 kB of audio, stored", spread(stored)));
    rows.push(("the job: queued, claimed, audio read, finished", spread(whole)));

    finish_many(places, &config, &instance).await?;
    let (mut creates, mut lists, mut gets) = (Vec::new(), Vec::new(), Vec::new());
    let blob = audio(&store).await?;
    for number in 0..JOBS {
        let own = Blob { id: uuid(number), ..blob.clone() };
        let job = timed(&mut creates, async { Ok(store.create_recognition(&new_job(&instance), &own).await?) }).await?;
        let listed = timed(&mut lists, async { Ok(store.recognitions(&instance, 100).await?) }).await?;
        assert_eq!(listed.len(), 100);
        let found = timed(&mut gets, async { Ok(store.recognition(&instance, &job.id).await?) }).await?;
        assert!(found.is_some());
    }
    rows.push(("create a job, beside 100 000 finished ones", spread(creates)));
    rows.push(("list the latest 100 of them", spread(lists)));
    rows.push(("get one", spread(gets)));

    // Several at a time, as the threads of one worker claim.
    let began = Instant::now();
    let claims = (0..4).map(async |_| {
        for _ in 0..JOBS / 4 {
            claimed(&store).await.map_err(|error| error.to_string())?;
        }
        Ok::<_, String>(())
    });
    for outcome in futures::future::join_all(claims).await {
        outcome?;
    }
    rows.push(("claims a second, one process", format!("{:.0}", JOBS as f64 / began.elapsed().as_secs_f64())));
    Ok(rows)
}

/// An id for a blob.
fn uuid(number: usize) -> String {
    format!("{number:032x}")
}

/// Finished jobs by the ten thousand, written by the database itself.
async fn finish_many(places: &Places, config: &StoreConfig, instance: &str) -> Result<(), Failure> {
    let columns = "id, instance_id, status, created_at, updated_at, expires_at, ttl, request, results, events";
    let values =
        format!("'{instance}', 'completed', n, n, 99999999999999, 604800000, '{{}}', '{}', ''", "x".repeat(2_000));
    let sql = match places.postgres() {
        Some(_) => format!(
            "INSERT INTO recognitions ({columns}) SELECT 'finished-' || n, {values} FROM generate_series(1, {FINISHED}) AS n"
        ),
        None => format!(
            "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {FINISHED}) \
             INSERT INTO recognitions ({columns}) SELECT 'finished-' || n, {values} FROM s"
        ),
    };
    match places.postgres() {
        Some(postgres) => {
            postgres.query_in(&config.database, &sql);
            postgres.query_in(&config.database, "ANALYZE");
        }
        None => {
            let url = config.database.replacen("sqlite:", "sqlite://", 1);
            let pool = sqlx::AnyPool::connect(&url).await?;
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await?;
            pool.close().await;
        }
    }
    Ok(())
}
