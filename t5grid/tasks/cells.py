"""Arrow columns -> text and numbers as they were written, never as Python shows them.

UTF-8 bytes are text; a single-precision 0.1 is 0.1, not 0.10000000149; lists, structs and the like are no
cells of a task.
"""

from collections.abc import Iterable
from typing import Any

from t5grid.refused import Refused

EXPECTED = "text, numbers, dates, or true and false"


def in_old_layouts(table: Any) -> Any:
    """The table without views and dictionaries, which little of Arrow can slice, take and join."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if (plain := _old_layout(field.type)) != field.type:
            table = table.set_column(place, pa.field(field.name, plain), table.column(place).cast(plain))
    return table


def _old_layout(kind: Any) -> Any:
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _old_layout(kind.value_type)
    if types.is_string_view(kind):
        return pa.string()
    return pa.binary() if types.is_binary_view(kind) else kind


def changes(kind: Any) -> bool:
    """Whether cells of a type are read otherwise than Python shows them."""
    kind = _old_layout(kind)
    return _is_bytes(kind) or _is_imprecise(kind)


def decoded(table: Any, names: Iterable[str], where: str, first_row: int = 0) -> Any:
    """The table with text in those of the named columns that hold UTF-8 bytes.

    Raises:
        Refused: bytes that are not UTF-8, naming `where`, row and column.
    """
    for name in names:
        place = table.schema.get_field_index(name)
        if place >= 0 and _is_bytes(table.schema.field(place).type):
            values = _text(table.column(place), name, where, first_row)
            table = table.set_column(place, name, values)
    return table


def plain(table: Any, names: Iterable[str], where: str, first_row: int = 0) -> Any:
    """The table with text, numbers, dates, or true and false in the named columns.

    Raises:
        Refused: naming `where`, the column and its type.
    """
    table = decoded(table, names, where, first_row)
    for name in names:
        place = table.schema.get_field_index(name)
        if place < 0:
            continue
        kind = table.schema.field(place).type
        if not _is_plain(kind):
            raise Refused(f"{where}: column {name!r} is {kind}, expected {EXPECTED}")
        if _is_imprecise(kind):
            table = table.set_column(place, name, _shortest(table.column(place)))
    return table


def written(value: Any) -> str | None:
    """A number as text; None for what is none."""
    return None if value is None or value != value else str(value)


def _text(values: Any, name: str, where: str, first_row: int) -> Any:
    import pyarrow as pa

    try:
        return values.cast(pa.large_binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        for number, value in enumerate(values.to_pylist(), start=first_row):
            try:
                (value or b"").decode("utf-8")
            except UnicodeDecodeError as error:
                why = f"column {name!r} is {values.type}, and not UTF-8 at byte {error.start + 1}"
                raise Refused(f"{where}, row {number}: {why}; expected {EXPECTED}") from None
        raise


def _shortest(values: Any) -> Any:
    """Numbers of less than double precision as the doubles of their shortest decimal forms."""
    import pyarrow as pa

    single = values.type.to_pandas_dtype()
    texts = [None if value is None else float(str(single(value))) for value in values.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.float64())])


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)


def _is_imprecise(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_float16(kind) or types.is_float32(kind)


def _is_plain(kind: Any) -> bool:
    import pyarrow.types as types

    is_text = types.is_string(kind) or types.is_large_string(kind)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    is_time = types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind)
    return is_text or is_number or is_time or types.is_boolean(kind) or types.is_null(kind)
