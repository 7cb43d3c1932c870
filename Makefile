# make            .venv with girih installed: .venv/bin/python, .venv/bin/girih
# make demo       colour quantisation of two photographs on 2 ranks, beside scikit-learn; pictures in demo-output/
# make test       Rust and Python tests, in-process ranks and real mpirun
# make test-executors   CPython's own tests of executors, by a Python 3.12 or newer: PYTHON=/path/to/python3
# make bench-NAME runs benches/NAME.py, with ARGS="..." if given
# make plugins    only the MPI plug-ins
# make clean      removes everything that was built

PYTHON_OF_VENV := .venv/bin/python

# Where they are set they make OpenBLAS, and so everything girih is compared with, slower than it is.
unexport OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

.PHONY: all demo test test-executors plugins clean bench-kmeans bench-arrays

all:
	@bindings/install.sh

plugins:
	@bindings/install.sh plugins

demo:
	@bindings/install.sh compare
	@$(PYTHON_OF_VENV) bindings/examples/demo.py

test:
	@bindings/install.sh test
	cargo test
	$(PYTHON_OF_VENV) -m pytest -c bindings/pyproject.toml --rootdir . tests/python

test-executors:
	@bindings/install.sh executors
	@.venv-executors/bin/python tests/python/rivals_executors.py

bench-kmeans:
	@bindings/install.sh rivals
	@.venv-rivals/bin/python benches/kmeans.py $(ARGS)

bench-arrays:
	@bindings/install.sh array-rivals
	@.venv-array-rivals/bin/python benches/arrays.py $(ARGS)

bench-%:
	@bindings/install.sh compare
	@$(PYTHON_OF_VENV) benches/$*.py $(ARGS)

clean:
	cargo clean
	rm -rf .venv .venv-rivals .venv-array-rivals .venv-executors demo-output bindings/python/girih/_mpi bindings/python/girih/*.so
