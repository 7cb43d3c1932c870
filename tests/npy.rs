//! `.npy` files read and written by several ranks, against files put together by hand.

use girih_arrays::{Array, DType, Error, Scalar};
use girih_runtime::world::World;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory of this test's own, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("girih-npy-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, contents).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn npy(text: &str, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend_from_slice(&(text.len() as u16).to_le_bytes());
    file.extend_from_slice(text.as_bytes());
    file.extend_from_slice(data);
    file
}

fn on_all<T: Send>(ranks: usize, program: impl Fn(&World) -> T + Sync) -> Vec<T> {
    girih_runtime::local::run(ranks, 2, ranks as u64, program).unwrap()
}

#[track_caller]
fn check_load(path: &Path, shape: &[usize], expected: &[f64]) {
    for ranks in [1, 2, 3, 6] {
        for found in on_all(ranks, |world| Array::load(world, path)?.astype(DType::Float64)?.to_vec::<f64>()) {
            assert!(found.unwrap() == expected, "{ranks} ranks");
        }
        on_all(ranks, |world| assert_eq!(Array::load(world, path).unwrap().shape(), shape));
    }
}

#[test]
fn either_order_of_axes_and_of_bytes_is_read() {
    let directory = Directory::new("orders");
    let (n, d) = (5003, 3);
    let value = |i: usize| i as f64 * 0.5 - 100.0;
    let rows: Vec<f64> = (0..n * d).map(value).collect();
    let little: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
    let path =
        directory.file("c.npy", &npy("{'descr': '<f8', 'fortran_order': False, 'shape': (5003, 3), }\n", &little));
    check_load(&path, &[n, d], &rows);
    let columns = (0..d).flat_map(|j| (0..n).map(move |i| value(i * d + j)));
    let big: Vec<u8> = columns.flat_map(|value| (value as f32).to_be_bytes()).collect();
    let path = directory.file("f.npy", &npy("{'descr': '>f4', 'fortran_order': True, 'shape': (5003, 3), }\n", &big));
    check_load(&path, &[n, d], &rows);
    let shape = [30, 4, 50];
    let cube: Vec<f64> = (0..6000).map(value).collect();
    let at = |i: usize, j: usize, k: usize| (i * 4 + j) * 50 + k;
    let order = (0..50).flat_map(|k| (0..4).flat_map(move |j| (0..30).map(move |i| at(i, j, k))));
    let data: Vec<u8> = order.flat_map(|at| value(at).to_le_bytes()).collect();
    let text = "{'descr': '<f8', 'fortran_order': True, 'shape': (30, 4, 50)}";
    check_load(&directory.file("cube.npy", &npy(text, &data)), &shape, &cube);
}

#[test]
fn small_empty_and_bool_files_are_read() {
    let directory = Directory::new("small");
    let path = directory.file("empty.npy", &npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 3)}", &[]));
    check_load(&path, &[0, 3], &[]);
    let one = 7_i64.to_le_bytes();
    let path = directory.file("number.npy", &npy("{'descr': '<i8', 'fortran_order': False, 'shape': ()}", &one));
    check_load(&path, &[], &[7.0]);
    let path = directory.file("truth.npy", &npy("{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", &[0, 1, 7]));
    check_load(&path, &[3], &[0.0, 1.0, 1.0]);
}

#[test]
fn a_file_that_lies_is_refused_alike_on_every_rank() {
    let directory = Directory::new("lies");
    let short = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (5000, 3)}", &[0; 1000]);
    let object = npy("{'descr': '|O', 'fortran_order': False, 'shape': (5000, 3)}", &[0; 1000]);
    let huge = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999)}", &[]);
    let cases: [(&str, &[u8], &str); 5] = [
        ("short.npy", &short, "120000 bytes, but 1000 bytes follow it"),
        ("object.npy", &object, "Python objects"),
        ("huge.npy", &huge, "no memory holds"),
        ("text.npy", b"1,2,3\n", "not a .npy file"),
        ("nothing.npy", b"", "not a .npy file"),
    ];
    for (name, contents, expected) in cases {
        let path = directory.file(name, contents);
        for error in on_all(3, |world| Array::load(world, &path).unwrap_err()) {
            assert!(matches!(error, Error::File { malformed: true, .. }));
            let text = error.to_string();
            assert!(text.contains(expected) && text.contains(name), "{text}");
        }
    }
    let missing = directory.0.join("missing.npy");
    for error in on_all(2, |world| Array::load(world, &missing).unwrap_err()) {
        assert!(matches!(error, Error::File { malformed: false, .. }));
        assert!(error.to_string().contains("missing.npy: No such file"), "{error}");
    }
}

#[test]
fn what_is_saved_is_read_at_any_rank_count() {
    let directory = Directory::new("saved");
    for shape in [vec![10_007, 3], vec![12], vec![3, 9000], vec![]] {
        let elements = shape.iter().product::<usize>() as i64;
        let path = directory.0.join("saved.npy");
        for (writers, readers) in [(1, 3), (4, 1), (3, 2)] {
            let lengths: Vec<i64> = shape.iter().map(|&length| length as i64).collect();
            on_all(writers, |world| {
                let all = Array::arange(world, Scalar::Int(0), Scalar::Int(elements), Scalar::Int(1), DType::Int64)?;
                all.reshape(&lengths)?.save(&path)
            })
            .into_iter()
            .for_each(|saved| saved.unwrap());
            for found in on_all(readers, |world| Array::load(world, &path)?.to_vec::<i64>()) {
                assert_eq!(found.unwrap(), (0..elements).collect::<Vec<_>>());
            }
            assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1, "something is left beside the file");
        }
    }
}

#[test]
fn what_cannot_be_written_is_an_error_on_every_rank() {
    let directory = Directory::new("refused");
    let path = directory.0.join("no such directory").join("x.npy");
    let program = |world: &World| {
        let error = Array::zeros(world, &[20_000], DType::Float64).and_then(|x| x.save(&path)).unwrap_err();
        // The world goes on.
        assert_eq!(
            Array::ones(world, &[20_000], DType::Float64)?.sum(None, false)?.to_scalar()?,
            Scalar::Float(20_000.0)
        );
        Ok::<String, Error>(error.to_string())
    };
    for text in on_all(3, program) {
        assert!(text.unwrap().contains("x.npy: No such file"));
    }
}
