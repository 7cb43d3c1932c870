//! Distances between rows, as the package's own module uses them.

use crate::handle::{PyArray, detached};
use crate::operand::to_array;
use girih_arrays::spatial::{self, Metric};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pyfunction]
#[pyo3(signature = (metric, x, y, weights, p, /))]
pub(crate) fn distances(
    metric: &str,
    x: &Bound<'_, PyAny>,
    y: Option<&Bound<'_, PyAny>>,
    weights: Vec<f64>,
    p: f64,
) -> PyResult<PyArray> {
    let metric = match metric {
        "euclidean" => Metric::Euclidean,
        "sqeuclidean" => Metric::SquaredEuclidean,
        "cityblock" => Metric::Cityblock,
        "chebyshev" => Metric::Chebyshev,
        "minkowski" => Metric::Minkowski(p),
        "canberra" => Metric::Canberra,
        "braycurtis" => Metric::BrayCurtis,
        "cosine" => Metric::Cosine,
        "hamming" => Metric::Hamming,
        "jaccard" => Metric::Jaccard,
        "jensenshannon" => Metric::JensenShannon,
        "dice" => Metric::Dice,
        "yule" => Metric::Yule,
        "rogerstanimoto" => Metric::RogersTanimoto,
        "russellrao" => Metric::RussellRao,
        "sokalsneath" => Metric::SokalSneath,
        _ => return Err(PyValueError::new_err(format!("there is no metric {metric}"))),
    };
    let (first, second) = (to_array(x)?, y.map(to_array).transpose()?);
    detached(x.py(), || match &second {
        Some(second) => spatial::cross_distances(metric, &first, second, &weights),
        None => spatial::pair_distances(metric, &first, &weights),
    })
}

#[pyfunction]
#[pyo3(signature = (x, /))]
pub(crate) fn square_form(x: &Bound<'_, PyAny>) -> PyResult<PyArray> {
    let array = to_array(x)?;
    detached(x.py(), || {
        if array.shape().len() == 1 { spatial::square_form(&array) } else { spatial::condensed_form(&array) }
    })
}
