"""What scikit-learn expects of an estimator, without scikit-learn: parameters by name, tags, output containers, errors.

Where scikit-learn is loaded, errors and warnings are also its own classes, so that its users' handlers meet them.
Never here: arithmetic, the data.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

PACKAGE = str(Path(__file__).parents[1])
Rule = tuple[Callable[[Any], bool], str]


class ConvergenceWarning(UserWarning):
    """The result is not what was asked for, such as fewer distinct clusters."""


class NotFittedError(ValueError, AttributeError):
    """A method was called that needs `fit` first."""


class InvalidParameterError(ValueError, TypeError):
    """A constructor's parameter has a value that it cannot have."""


# Where scikit-learn keeps its classes of the same names.
THEIRS = {
    "ConvergenceWarning": "sklearn.exceptions",
    "NotFittedError": "sklearn.exceptions",
    "InvalidParameterError": "sklearn.utils._param_validation",
}


@functools.cache
def _joined(own: type, theirs: type) -> type:
    # Travels between processes as our own class, which is found by its name.
    members = {"__module__": own.__module__, "__doc__": own.__doc__, "__reduce__": lambda self: (own, self.args)}
    return type(own.__name__, (own, theirs), members)


def shared(own: type) -> Any:
    """The class to raise for `own`: scikit-learn's too, where scikit-learn is loaded."""
    theirs = getattr(sys.modules.get(THEIRS[own.__name__]), own.__name__, None)
    return own if theirs is None else _joined(own, theirs)


def warn(text: str, category: type[Warning]) -> None:
    """Warns at the line that called girih, however deep the call is within it."""
    frame, depth = inspect.currentframe(), 0
    while frame is not None and (depth == 0 or frame.f_code.co_filename.startswith(PACKAGE)):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(text, category, stacklevel=depth + 1)


def is_int(value: object, least: int) -> bool:
    """True for integers from `least` on; booleans are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_) and int(value) >= least


def integer(least: int = 1) -> Rule:
    """The rule that a parameter is an integer from `least` on."""
    return lambda value: is_int(value, least), f"an int in the range [{least}, inf)"


def real(least: float = 0.0) -> Rule:
    """The rule that a parameter is a number from `least` on."""

    def holds(value: object) -> bool:
        return isinstance(value, numbers.Real) and not isinstance(value, bool) and float(value) >= least

    return holds, f"a float in the range [{least}, inf)"


def among(*values: object) -> Rule:
    """The rule that a parameter is one of these."""
    shown = ", ".join(repr(value) for value in sorted(map(str, values)))
    return lambda value: any(type(value) is type(own) and value == own for own in values), f"a str among {{{shown}}}"


def either(*rules: Rule) -> Rule:
    """The rule that one of these holds."""
    text = " or ".join(text for _, text in rules)
    return lambda value: any(holds(value) for holds, _ in rules), text


BOOL: Rule = (lambda value: isinstance(value, bool | np.bool_), "an instance of 'bool'")
# As scikit-learn has it, where a flag may be a number.
VERBOSE: Rule = (lambda value: isinstance(value, bool | np.bool_) or is_int(value, 0), "an int or a bool")
NONE: Rule = (lambda value: value is None, "None")
RANDOM_STATE: Rule = (
    lambda value: value is None or value is np.random or isinstance(value, np.random.RandomState) or is_int(value, 0),
    "an int in the range [0, 4294967295], an instance of 'numpy.random.mtrand.RandomState' or None",
)
INIT: Rule = (
    lambda value: (
        str(value) in ("k-means++", "random") if isinstance(value, str) else callable(value) or np.iterable(value)
    ),
    "a str among {'k-means++', 'random'}, a callable or an array-like",
)


class Estimator:
    """Parameters by name, as scikit-learn's tools read and set them."""

    _rules: dict[str, Rule] = {}
    # Said to scikit-learn's output wrapper, which looks for them by these names.
    _sklearn_auto_wrap_output_keys = frozenset({"transform"})

    n_features_in_: int
    feature_names_in_: NDArray[Any]
    _n_features_out: int

    @classmethod
    def _parameters(cls) -> dict[str, inspect.Parameter]:
        return {name: each for name, each in inspect.signature(cls).parameters.items() if name != "self"}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's parameters, by name."""
        return {name: getattr(self, name) for name in sorted(self._parameters())}

    def set_params(self, **params: Any) -> Self:
        """Changes parameters by name."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                valid = list(known)
                text = f"Invalid parameter {name!r} for estimator {self!r}. Valid parameters are: {valid!r}."
                raise ValueError(text)
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        shown = []
        for name, parameter in self._parameters().items():
            value = getattr(self, name)
            same = value is parameter.default or (
                type(value) is type(parameter.default)
                and not isinstance(value, np.ndarray)
                and value == parameter.default
            )
            if not same and not (isinstance(value, float) and math.isnan(value)):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's pipelines and searches ask; it is imported already when they do."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="clusterer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(sparse=True),
        )

    def _check_parameters(self) -> None:
        for name, (holds, expected) in self._rules.items():
            value = getattr(self, name)
            if not holds(value):
                text = f"The {name!r} parameter of {type(self).__name__} must be {expected}. Got {value!r} instead."
                raise shared(InvalidParameterError)(text)

    def _check_fitted(self) -> None:
        if not hasattr(self, "cluster_centers_"):
            raise shared(NotFittedError)(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with appropriate arguments before "
                "using this estimator."
            )

    def _remember_features(self, X: Any, features: int) -> None:
        self.n_features_in_ = features
        names = feature_names(X)
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _check_features(self, X: Any, features: int) -> None:
        """Names first, as scikit-learn does."""
        fitted, names = getattr(self, "feature_names_in_", None), feature_names(X)
        name = type(self).__name__
        if fitted is None and names is not None:
            warn(f"X has feature names, but {name} was fitted without feature names", UserWarning)
        elif fitted is not None and names is None:
            warn(f"X does not have valid feature names, but {name} was fitted with feature names", UserWarning)
        elif fitted is not None and names is not None and list(fitted) != list(names):
            raise ValueError(_unlike(list(fitted), list(names)))
        if features != self.n_features_in_:
            raise ValueError(
                f"X has {features} features, but {name} is expecting {self.n_features_in_} features as input."
            )

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Names of the columns of `transform`: the class's name in lower case with a number.

        >>> import girih as gr
        >>> gr.cluster.KMeans(2, random_state=0).fit([[0.0], [1.0]]).get_feature_names_out().tolist()
        ['kmeans0', 'kmeans1']
        """
        self._check_fitted()
        prefix = type(self).__name__.lower()
        return np.asarray([f"{prefix}{column}" for column in range(self._n_features_out)], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """The container of `transform`'s result: 'default', 'pandas' or 'polars'; None leaves it as it is."""
        if transform not in (None, "default", "pandas", "polars"):
            raise ValueError(f"transform must be 'default', 'pandas' or 'polars', not {transform!r}")
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def _contained(self, data: Any, X: Any) -> Any:
        """What `transform` gives, in the container that was asked for."""
        if "sklearn.utils._set_output" in sys.modules:
            from sklearn.utils._set_output import _wrap_data_with_container

            return _wrap_data_with_container("transform", data, X, self)
        wanted = getattr(self, "_sklearn_output_config", {}).get("transform", "default")
        if wanted == "default":
            return data
        if wanted == "pandas":
            import pandas

            return pandas.DataFrame(data, columns=self.get_feature_names_out(), index=getattr(X, "index", None))
        import polars

        return polars.DataFrame(data, schema=list(self.get_feature_names_out()), orient="row")


def feature_names(X: Any) -> NDArray[Any] | None:
    """The columns' names of a data frame, if all are strings."""
    if not hasattr(X, "columns") or not (hasattr(X, "iloc") or hasattr(X, "__dataframe__")):
        return None
    names = np.asarray(list(X.columns), dtype=object)
    kinds = {isinstance(name, str) for name in names}
    if kinds == {True, False}:
        types = sorted({type(name).__qualname__ for name in names})
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your input has "
            f"{types} as feature name / column name types. If you want feature names to be stored and validated, you "
            "must convert them all to strings, by using X.columns = X.columns.astype(str) for example."
        )
    return names if kinds == {True} else None


def _unlike(fitted: list[str], names: list[str]) -> str:
    text = "The feature names should match those that were passed during fit.\n"
    unexpected, missing = sorted(set(names) - set(fitted)), sorted(set(fitted) - set(names))
    unseen, gone = "Feature names unseen at fit time", "Feature names seen at fit time, yet now missing"
    for which, what in ((unexpected, unseen), (missing, gone)):
        if which:
            shown = which[:5] + (["..."] if len(which) > 5 else [])
            text += f"{what}:\n" + "".join(f"- {name}\n" for name in shown)
    if not unexpected and not missing:
        text += "Feature names must be in the same order as they were in fit.\n"
    return text
