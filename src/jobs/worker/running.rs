//! The jobs that a worker has under way, within the concurrency of each queue.

use std::collections::HashMap;

use tokio::task::JoinSet;

use crate::jobs::types::{Queue, Settled};

/// Jobs that are under way.
#[derive(Default)]
pub struct Running {
    tasks: JoinSet<Settled>,
    queues: HashMap<i64, Queue>,
}

impl Running {
    /// How many more each queue has room for.
    pub fn free(&self) -> Vec<(Queue, usize)> {
        Queue::ALL
            .into_iter()
            .map(|queue| {
                let claimed = self
                    .queues
                    .values()
                    .filter(|claimed| **claimed == queue)
                    .count();
                (queue, queue.concurrency().saturating_sub(claimed))
            })
            .collect()
    }

    /// Waits for one that ends, for ever when there is none.
    pub async fn ended(&mut self) -> Settled {
        while let Some(joined) = self.tasks.join_next().await {
            // A task catches its job's panics and is aborted by nobody but the end.
            if let Ok(settled) = joined {
                self.queues.remove(&settled.job_id);
                return settled;
            }
        }
        std::future::pending().await
    }

    /// Those that have ended meanwhile as well.
    pub fn ended_too(&mut self, settled: &mut Vec<Settled>) {
        while let Some(Ok(one)) = self.tasks.try_join_next() {
            self.queues.remove(&one.job_id);
            settled.push(one);
        }
    }

    /// Has a job done.
    pub fn spawn(
        &mut self,
        job_id: i64,
        queue: Queue,
        doing: impl Future<Output = Settled> + Send + 'static,
    ) {
        self.queues.insert(job_id, queue);
        self.tasks.spawn(doing);
    }

    /// Breaks off what has not ended; gives its ids.
    pub async fn shutdown(mut self) -> Vec<i64> {
        self.tasks.shutdown().await;
        self.ids()
    }

    pub fn ids(&self) -> Vec<i64> {
        self.ids_of(|_| true)
    }

    /// Those of some queues.
    pub fn ids_of(&self, is_taken: impl Fn(Queue) -> bool) -> Vec<i64> {
        let some = self.queues.iter().filter(|(_, queue)| is_taken(**queue));
        some.map(|(job_id, _)| *job_id).collect()
    }

    pub fn has(&self, job_id: i64) -> bool {
        self.queues.contains_key(&job_id)
    }

    pub fn len(&self) -> usize {
        self.queues.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}
