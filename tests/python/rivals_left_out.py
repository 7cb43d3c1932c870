"""Tests of other libraries that girih does not pass, by module and name, with the reason."""

PRIVATE = "looks into a private function or attribute of scikit-learn's own class"

LEFT_OUT = {
    "test_k_means::test_sample_weight_init": PRIVATE,
    "test_k_means::test_sample_weight_zero": PRIVATE,
}
