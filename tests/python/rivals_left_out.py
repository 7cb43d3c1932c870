"""Tests of other libraries that girih does not pass, by module and name, with the reason."""

PRIVATE = "looks into a private function or attribute of scikit-learn's own class"

LEFT_OUT = {
    "test_k_means::test_sample_weight_init": PRIVATE,
    "test_k_means::test_sample_weight_zero": PRIVATE,
}

JOBLIB_LEFT_OUT = {
    "test_error_capture[girih]": "asks for an attribute that is another object after an error; workers here go on",
    "test_memmapping_leaks[girih]": "looks for files in temp_folder; shared arrays here have no names",
}
