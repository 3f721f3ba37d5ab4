//! Compressed forms, and how much is kept.

use futures_util::future::join_all;

use super::*;
use crate::core::cache::entry::{FORMS_OVERHEAD, OVERHEAD};

/// Compressible, of `size` bytes.
fn text(size: usize) -> Vec<u8> {
    (0_usize..)
        .flat_map(|n| format!("{{\"number\":{}}},", n * n).into_bytes())
        .take(size)
        .collect()
}

#[actix_web::test]
async fn forms_are_made_once_and_weighed() {
    // The larger is beyond what is compressed without the blocking pool.
    for (key, size) in [(1, 2000), (2, 100_000)] {
        let cache = cache();
        let read = async || found(text(size));
        let entry = cache.find_or_fill(&key, read).await.unwrap().unwrap();
        assert_eq!(cache.entries.size().1, (OVERHEAD + size + 2) as u64);
        for coding in Coding::ALL {
            let forms = join_all((0..10).map(|_| cache.form(&key, &entry, coding))).await;
            let form = forms[0].clone().unwrap();
            assert!(form.len() < size);
            // The very same memory, not only the same bytes.
            assert!(forms.iter().flatten().all(|f| f.as_ptr() == form.as_ptr()));
            assert_eq!(cache.entries.size().1, entry.weight() as u64);
        }
        assert!(Arc::ptr_eq(&cache.get(&key).unwrap(), &entry));
    }
}

#[actix_web::test]
async fn a_form_that_is_no_smaller_is_none() {
    let cache = cache();
    let mut seed = 1_u32;
    let mut noise = Vec::new();
    for _ in 0..2000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push(seed.to_be_bytes()[0]);
    }
    let entry = cache.find_or_fill(&1, async || found(noise.clone()));
    let entry = entry.await.unwrap().unwrap();
    for coding in Coding::ALL {
        assert!(entry.etag_in(coding).is_some());
        assert_eq!(cache.form(&1, &entry, coding).await, None);
        assert!(entry.etag_in(coding).is_none());
    }
    assert_eq!(entry.weight(), OVERHEAD + FORMS_OVERHEAD + noise.len() + 2);
}

#[actix_web::test]
async fn small_foreign_and_secret_bodies_have_no_forms() {
    let secret = Parts {
        cache_control: "no-store",
        ..parts(text(2000))
    };
    let picture = Parts {
        content_type: "image/png",
        ..parts(text(2000))
    };
    let cache = cache();
    for parts in [parts(text(1000)), secret, picture] {
        let entry = Arc::new(Entry::new(parts, Vec::new(), cache.moment()));
        assert_eq!(cache.form(&1, &entry, Coding::Gzip).await, None);
        assert!(entry.etag_in(Coding::Gzip).is_none());
    }
}

#[actix_web::test]
async fn a_form_does_not_bring_an_old_entry_back() {
    let cache = cache();
    let read = async || found(text(2000));
    let old = cache.find_or_fill(&1, read).await.unwrap().unwrap();
    cache.invalidate(&[post()]);
    let new = cache.find_or_fill(&1, read).await.unwrap().unwrap();
    assert!(cache.form(&1, &old, Coding::Zstd).await.is_some());
    assert!(Arc::ptr_eq(&cache.get(&1).unwrap(), &new));
}

#[actix_web::test]
async fn all_that_is_kept_fits_the_bound() {
    let cache: Cache<u32, Failure> = Cache::new(100_000, None, clock());
    for key in 0..500 {
        let read = async || found(text(10_000));
        let entry = cache.find_or_fill(&key, read).await.unwrap().unwrap();
        cache.form(&key, &entry, Coding::Gzip).await.unwrap();
        assert!(cache.entries.size().1 <= 100_000);
    }
    let kept = (0..500).filter_map(|key| cache.get(&key));
    let weight: usize = kept.map(|entry| entry.weight()).sum();
    assert!((50_000..=100_000).contains(&weight), "{weight}");
}

/// By as many as there is room for, and then by those that come again.
#[actix_web::test]
async fn without_room_what_is_asked_for_again_is_kept() {
    let cache: Cache<u32, Failure> = Cache::new(100_000, None, clock());
    let read = async || found(text(10_000));
    let ask = async |key: u32| cache.find_or_fill(&key, read).await.unwrap().unwrap();
    for key in 0..12 {
        ask(key).await;
    }
    let room = (0..12).filter(|key| cache.get(key).is_some()).count();
    assert!(room < 12);
    for key in 100..200 {
        ask(key).await;
        assert!(cache.get(&key).is_none());
    }
    // Who comes again and again gets a place.
    let mut tries = 0;
    while cache.get(&100).is_none() {
        ask(100).await;
        tries += 1;
        assert!(tries < 20);
    }
    // What is there is replaced at once, full or not.
    let before = cache.get(&100).unwrap();
    cache.invalidate(&[post()]);
    assert!(cache.get(&100).is_none());
    ask(100).await;
    assert!(!Arc::ptr_eq(&before, &cache.get(&100).unwrap()));
}

#[actix_web::test]
async fn what_is_larger_than_the_bound_is_served_and_not_kept() {
    let small = OVERHEAD + 2000 + 2;
    let cache: Cache<u32, Failure> = Cache::new(small as u64, None, clock());
    let large = cache.find_or_fill(&1, async || found(text(2001))).await;
    assert_eq!(large.unwrap().unwrap().body().len(), 2001);
    assert!(cache.get(&1).is_none());
    let fits = cache.find_or_fill(&2, async || found(text(2000))).await;
    let fits = fits.unwrap().unwrap();
    assert!(cache.get(&2).is_some());
    // With a form it no longer does.
    assert!(cache.form(&2, &fits, Coding::Brotli).await.is_some());
    assert!(cache.get(&2).is_none());
    assert_eq!(cache.entries.size().1, 0);
}

#[actix_web::test]
async fn a_cache_of_nothing_keeps_nothing_and_still_joins() {
    let cache: Cache<u32, Failure> = Cache::new(0, None, clock());
    let fillings = Cell::new(0);
    let read = async || {
        fillings.set(fillings.get() + 1);
        tokio::task::yield_now().await;
        found("one")
    };
    for answer in join_all((0..10).map(|_| body(&cache, read))).await {
        assert_eq!(answer, some("one"));
    }
    assert_eq!(fillings.get(), 1);
    assert_eq!(body(&cache, async || found("next")).await, some("next"));
}

#[actix_web::test]
async fn without_room_bodies_are_packed_until_they_are_asked_for_often() {
    let cache: Cache<u32, Failure> = Cache::new(100_000, None, clock());
    let plain = text(10_000);
    let read = async || found(text(10_000));
    let ask = async |key: u32| cache.find_or_fill(&key, read).await.unwrap().unwrap();
    let kept = || {
        let there = (0..1000).filter_map(|key| cache.entries.peek(&key));
        there.collect::<Vec<_>>()
    };
    for key in 0..9 {
        ask(key).await;
    }
    let few = kept();
    assert!(few.iter().all(|entry| !entry.is_packed()));
    for key in 100..200 {
        ask(key).await;
        ask(key).await;
    }
    let many = kept();
    assert!(
        many.len() >= 3 * few.len(),
        "{} of {}",
        many.len(),
        few.len()
    );
    assert!(
        many.iter()
            .all(|entry| entry.is_packed() && entry.body() == plain)
    );
    assert!(cache.entries.size().1 <= 100_000);
    // Whoever asks has the same body, with the same ETag, plain or packed.
    for time in 1..=5 {
        let entry = cache.get(&199).unwrap();
        assert_eq!(entry.is_packed(), time < 4, "{time}");
        assert_eq!(entry.body(), plain);
        assert_eq!(entry.etag(), "\"e\"");
    }
    // Read anew it stays plain; another one stays packed.
    cache.invalidate(&[post()]);
    ask(198).await;
    ask(199).await;
    assert!(!cache.entries.peek(&199).unwrap().is_packed());
    assert!(cache.entries.peek(&198).unwrap().is_packed());
}

#[actix_web::test]
async fn forms_are_made_of_what_is_packed_too() {
    let cache = cache();
    let entry = Entry::new(parts(text(2000)), vec![post()], cache.moment());
    let packed = Arc::new(entry.packed().unwrap());
    assert!(packed.packed().is_none() && packed.weight() < entry.weight());
    cache.entries.insert(1, &packed);
    for coding in Coding::ALL {
        let form = cache.form(&1, &packed, coding).await.unwrap();
        let expected = coding.compress_once(&text(2000)).unwrap();
        assert_eq!(form, expected);
        assert_eq!(cache.entries.size().1, packed.weight() as u64);
    }
}
