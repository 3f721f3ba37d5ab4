//! A model of sessions: accounts that are used at once through two processes, meet, and
//! see one of the processes killed.

mod doubts;
mod keeper;
mod person;
mod races;

use std::time::Instant;

use super::Plan;
use super::random::Random;
use super::world::{Kill, SOON, Two, World, until};
use crate::harness::Backend;
use keeper::{Keeper, check_list, sessions};
use person::Person;

const KEEPERS: usize = 3;
/// Steps of a keeper in a round.
const STEPS: usize = 40;
/// Rounds of a run in the suite, and of one in a soak.
const ROUNDS: [usize; 2] = [4, 25];
/// Meetings after each round.
const RACES: usize = 5;
/// Ended sessions of an account that are looked at again and again.
const ENDED: usize = 5;

fn sessions_are_as_the_model_has_them(plan: Plan) {
    let Some(mut world) = World::start(plan) else {
        return;
    };
    let mut chance = Random::new(plan.seed);
    let admin = world.admin();
    let mut keepers: Vec<Keeper> = (0..KEEPERS)
        .map(|number| Keeper::new(number, &admin, chance.fork()))
        .collect();
    for round in 0..ROUNDS[usize::from(plan.is_long())] {
        world.two.note(&format!("round {round}"));
        // In a short run once for certain.
        let kill = (round == 1 || chance.percent(50)).then(|| Kill {
            process: chance.below(2),
            after: chance.below(KEEPERS * STEPS),
        });
        world.round(&mut keepers, kill, |keeper, two| keeper.act(two, STEPS));
        if let Some(kill) = kill {
            for keeper in &mut keepers {
                keeper.resolve(&world.two, kill.process);
            }
        }
        for _ in 0..RACES {
            let persons = keepers.iter_mut().flat_map(|keeper| &mut keeper.persons);
            let there = persons.filter(|person| person.is_there && person.is_active);
            if let Some(person) = chance.pick_of(there) {
                races::race(&world.two, person, &admin, &mut chance);
            }
        }
        let deadline = Instant::now() + SOON;
        for person in keepers.iter_mut().flat_map(|keeper| &mut keeper.persons) {
            check(&world.two, person, deadline, &mut chance);
        }
        for keeper in &mut keepers {
            let persons = &mut keeper.persons;
            // Some of those who are gone stay, for their tokens never work again.
            while persons.len() > 5
                && let Some(at) = persons.iter().position(|person| !person.is_there)
            {
                persons.remove(at);
            }
        }
    }
    world.end();
}

/// Shows every token to both processes, and has both list the sessions.
fn check(two: &Two, person: &mut Person, deadline: Instant, chance: &mut Random) {
    let user_id = person.id;
    for process in [0, 1] {
        for session in &mut person.sessions {
            for token in session.access.clone() {
                until(deadline, || {
                    let is_taken = session.show(two, process, &token, user_id).unwrap();
                    (is_taken == session.is_live())
                        .then_some(())
                        .ok_or_else(|| format!("{process} takes a token of {session:?}"))
                });
            }
        }
        let with_token = person.live().filter(|session| !session.access.is_empty());
        if let Some(session) = chance.pick_of(with_token) {
            let reply = two.ask(process, &sessions(&session.access[0]));
            check_list(person, session.id, &reply);
        }
    }
    let ended = person.sessions.iter().filter(|session| !session.is_live());
    let mut surplus = ended.count().saturating_sub(ENDED);
    person.sessions.retain(|session| {
        let goes = surplus > 0 && !session.is_live() && session.is_refused_everywhere();
        surplus -= usize::from(goes);
        !goes
    });
}

#[test]
fn sessions_on_sqlite() {
    super::run(
        "model of sessions",
        Backend::Sqlite,
        sessions_are_as_the_model_has_them,
    );
}

#[test]
fn sessions_on_mysql() {
    super::run(
        "model of sessions",
        Backend::Mysql,
        sessions_are_as_the_model_has_them,
    );
}
