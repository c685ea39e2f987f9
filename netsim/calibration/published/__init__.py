"""Published measurements: cases as data, predictions from the model's mechanisms, and how far the two are apart."""

from netsim.calibration.published.case import Case, Row, load_case, shipped_cases
from netsim.calibration.published.validation import CaseResult, Validation, validate, validate_case

__all__ = ["Case", "CaseResult", "Row", "Validation", "load_case", "shipped_cases", "validate", "validate_case"]
