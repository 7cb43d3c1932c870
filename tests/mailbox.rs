//! Mailboxes: what is sent arrives whole, in the order of its sender, beside collectives and in any order of delivery.

use girih_runtime::error::{Error, Result};
use girih_runtime::ids::Rank;
use girih_runtime::local;
use girih_runtime::world::World;
use std::time::Duration;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));
/// Around the length of a frame, and far beyond.
const LENGTHS: [usize; 7] = [0, 1, 4087, 4088, 4089, 70_000, 3];

fn others(world: &World) -> Vec<Rank> {
    (0..world.size()).map(Rank::from).filter(|&rank| rank != world.rank()).collect()
}

/// A message that tells its sender, its receiver and its place.
fn text(from: Rank, to: Rank, place: usize) -> Vec<u8> {
    let seed = from.index() * 31 + to.index() * 7 + place;
    (0..LENGTHS[place % LENGTHS.len()]).map(|at| (seed + at) as u8).collect()
}

/// Every rank sends so many messages to every other one, and takes part in a collective in between.
#[track_caller]
fn check(ranks: usize, messages: usize, seed: u64) {
    let outcomes = local::run(ranks, 1, seed, |world| {
        let mailbox = world.mailbox(others(world))?;
        for place in 0..messages {
            for to in others(world) {
                mailbox.send(to, &text(world.rank(), to, place))?;
            }
        }
        assert_eq!(world.max(world.rank().0.into())?, ranks as i64 - 1);
        let mut places = vec![0; ranks];
        for _ in 0..messages * (ranks - 1) {
            let (from, bytes) = mailbox.receive(PATIENCE)?.expect("a message in time");
            assert!(bytes == text(from, world.rank(), places[from.index()]), "from {from}, {}", places[from.index()]);
            places[from.index()] += 1;
        }
        assert_eq!(mailbox.receive(Some(Duration::ZERO))?, None);
        mailbox.close()?;
        assert!(mailbox.send(others(world)[0], b"late").is_err());
        world.barrier()
    });
    for outcome in outcomes.expect("all ranks come to the end") {
        outcome.expect("no rank fails");
    }
}

#[test]
fn messages_of_all_lengths_arrive_in_order() {
    for ranks in [2, 3, 6] {
        check(ranks, 2 * LENGTHS.len(), 0);
    }
}

#[test]
fn the_order_of_delivery_does_not_matter() {
    (1..20).for_each(|seed| check(3, LENGTHS.len(), seed));
}

#[test]
fn a_mailbox_opens_again_after_it_was_closed() {
    let outcomes = local::run(2, 1, 5, |world| {
        for round in 0..3_u8 {
            let mailbox = world.mailbox(others(world))?;
            mailbox.send(others(world)[0], &[round])?;
            assert_eq!(mailbox.receive(PATIENCE)?, Some((others(world)[0], vec![round])));
            mailbox.close()?;
            world.barrier()?;
        }
        Ok(())
    });
    let outcomes: Vec<Result<()>> = outcomes.expect("all ranks come to the end");
    assert!(outcomes.iter().all(Result::is_ok));
}

#[test]
fn a_world_of_one_rank_has_no_peers() {
    let outcomes = local::run(1, 1, 0, |world| world.mailbox(Vec::new()).map(drop));
    let outcomes = outcomes.expect("the rank comes to the end");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Launch(_)))));
}
