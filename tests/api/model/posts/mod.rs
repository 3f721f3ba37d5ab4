//! A model of posts: authors who write at once through two processes, meet, and see one
//! of the processes killed.

mod author;
mod doubts;
mod post;
mod races;
mod reading;
mod text;

use super::Plan;
use super::random::Random;
use super::world::{Kill, World};
use crate::harness::Backend;
use author::Author;
use post::Post;
use reading::Reading;

const AUTHORS: usize = 3;
/// Steps of an author in a round.
const STEPS: usize = 25;
/// Rounds of a run in the suite, and of one in a soak.
const ROUNDS: [usize; 2] = [3, 25];
/// Meetings after each round.
const RACES: usize = 6;
/// How much is read after each round, of each kind.
const SAMPLES: usize = 12;

fn posts_are_as_the_model_has_them(plan: Plan) {
    let Some(mut world) = World::start(plan) else {
        return;
    };
    let mut chance = Random::new(plan.seed);
    let admin = world.admin();
    let mut authors: Vec<Author> = (0..AUTHORS)
        .map(|number| {
            let answer = world.two.register(&format!("author-{number}"), None);
            Author::new(number, &answer, chance.fork())
        })
        .collect();
    for round in 0..ROUNDS[usize::from(plan.is_long())] {
        world.two.note(&format!("round {round}"));
        for author in &mut authors {
            author.home = chance.below(2);
            author.is_at_home = true;
        }
        // In a short run once for certain.
        let kill = (round == 1 || chance.percent(50)).then(|| Kill {
            process: chance.below(2),
            after: chance.below(AUTHORS * STEPS),
        });
        world.round(&mut authors, kill, |author, two| author.act(two, STEPS));
        let fresh = kill.map_or(0, |kill| kill.process);
        for author in &mut authors {
            author.resolve(&world.two, fresh);
        }
        for _ in 0..RACES {
            let author = chance.below(AUTHORS);
            races::race(&world.two, &mut authors[author], &admin, &mut chance);
        }
        Reading::new(&world.two, &mut chance).check(&mut authors, SAMPLES);
        settle(&mut authors);
    }
    world.end();
}

/// From now on everybody sees the present state.
fn settle(authors: &mut [Author]) {
    let published: Vec<(i64, i64)> = authors
        .iter()
        .flat_map(|author| author.posts.values().map(|post| (author.id, post)))
        .filter(|(_, post)| post.is_published())
        .map(|(author, post)| (author, Post::id(post)))
        .collect();
    for author in authors {
        let ids: Vec<i64> = author.posts.keys().chain(&author.gone).copied().collect();
        for id in ids {
            author.remember(id);
        }
        author.forget_states();
        let others = published.iter().filter(|(owner, _)| *owner != author.id);
        author.others = others.map(|(_, id)| *id).collect();
    }
}

#[test]
fn posts_on_sqlite() {
    super::run(
        "model of posts",
        Backend::Sqlite,
        posts_are_as_the_model_has_them,
    );
}

#[test]
fn posts_on_mysql() {
    super::run(
        "model of posts",
        Backend::Mysql,
        posts_are_as_the_model_has_them,
    );
}
