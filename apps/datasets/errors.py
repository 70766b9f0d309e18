"""Why a dataset is refused, and what to do about it."""

from apps.core.errors import DomainError


class UnreadableDataset(DomainError):
    """The uploaded file cannot become a table."""

    code = "dataset_unreadable"
    status = 422


class NotCsv(UnreadableDataset):
    code = "dataset_not_csv"
    detail = "This is {found}, not a CSV file. Export the table as CSV and upload that."


class EmptyFile(UnreadableDataset):
    code = "dataset_empty"
    detail = "The file is empty. Upload a CSV with a header line and at least one row."


class NoRows(UnreadableDataset):
    code = "dataset_without_rows"
    detail = "The file has a header with {column_count} columns but no rows below it."


class HeaderMissing(UnreadableDataset):
    code = "dataset_header_missing"
    detail = "The first line holds only numbers ({first}, …). Add a header line that names the columns."


class WrongEncoding(UnreadableDataset):
    code = "dataset_wrong_encoding"
    detail = (
        "The file is not UTF-8: line {line}, byte {offset} looks like {guess}. "
        "Save it as UTF-8 (in Excel: “CSV UTF-8”) and upload it again."
    )


class NulByte(UnreadableDataset):
    code = "dataset_nul_byte"
    detail = "Line {line} contains a NUL byte, which no text has. The file is damaged or not a CSV; export it again."


class RaggedRow(UnreadableDataset):
    code = "dataset_ragged"
    detail = (
        "Line {line} has {found} fields, but the header has {expected}. "
        "Put quotes around values that contain the separator {separator}, or fix the line."
    )


class BadQuoting(UnreadableDataset):
    code = "dataset_bad_quoting"
    detail = "Line {line}: {reason}. A quote inside a quoted value is written twice."


class WrongLineEnds(UnreadableDataset):
    code = "dataset_wrong_line_ends"
    detail = "Line {line} contains a bare carriage return. Save the file with Unix or Windows line ends."


class LineTooLong(UnreadableDataset):
    code = "dataset_line_too_long"
    detail = "Line {line} is longer than {limit_bytes} bytes. Is this a CSV with line breaks?"


class BlankColumnName(UnreadableDataset):
    code = "dataset_blank_column_name"
    detail = "Column {position} has no name. Name every column in the first line."


class ColumnNameTooLong(UnreadableDataset):
    code = "dataset_column_name_too_long"
    detail = "The name of column {position} has {length} characters; at most {limit} are allowed."


class DuplicateColumnName(UnreadableDataset):
    code = "dataset_duplicate_column_name"
    detail = "The columns {first} and {second} are both named “{name}”. Give each its own name."


class TooManyColumns(UnreadableDataset):
    code = "dataset_too_many_columns"
    detail = "The file has {found} columns; at most {limit} are allowed."


class TooManyRows(UnreadableDataset):
    code = "dataset_too_many_rows"
    detail = "The file has more than {limit} rows. Split it, or sample it."


class DatasetTooLarge(DomainError):
    code = "dataset_too_large"
    status = 413
    detail = "The file is larger than {limit_bytes} bytes. Split it, or ask the operator to raise UPLOAD_MAX_BYTES."


class DatasetNameTaken(DomainError):
    code = "dataset_name_taken"
    status = 409
    detail = "There is already a dataset “{name}”. Choose another name, or add a version to that one."


class DatasetInUse(DomainError):
    code = "dataset_in_use"
    status = 409
    detail = "“{name}” is what {count} models or training runs were made from, so it is kept as long as they are."


class ConfirmationMissing(DomainError):
    code = "confirmation_missing"
    status = 422
    detail = "Type the name “{name}” to confirm."


class SourceMissing(DomainError):
    code = "dataset_source_missing"
    status = 422
    detail = "Send either a `file` or the `url` of one."


class SourceNotServed(DomainError):
    code = "dataset_source_not_served"
    status = 502
    detail = "`{host}` answered {status_code} instead of the file."


class VersionNotReady(DomainError):
    code = "dataset_version_not_ready"
    status = 409
    detail = "Version {number} has no table yet: it is {status}. Wait for its job, or see why it failed."
