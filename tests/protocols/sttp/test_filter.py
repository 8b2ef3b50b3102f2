from contextlib import suppress
from dataclasses import replace
from time import perf_counter

import pytest

from custom_components.grid_telemetry.protocols.sttp.dataset import Table
from custom_components.grid_telemetry.protocols.sttp.filter import (
    MAX_LENGTH,
    FilterError,
    Names,
    select,
)
from custom_components.grid_telemetry.protocols.sttp.metadata import Metadata

from .samples import metadata, signal_id

VIEW = metadata(12).active_measurements()
NAMES = Names(VIEW)


async def ids(expression: str, view: Table = VIEW) -> list[int]:
    rows = await select(expression, [view], view.name, NAMES if view is VIEW else Names(view))
    return [int(str(row["ID"]).removeprefix("HA:")) for row in rows.get(view.name, [])]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("FILTER ActiveMeasurements WHERE True", list(range(1, 13))),
        ("filter activemeasurements where true", list(range(1, 13))),
        ("FILTER TOP 2 ActiveMeasurements WHERE True", [1, 2]),
        ("FILTER TOP -1 ActiveMeasurements WHERE SignalType='FREQ'", [1]),
        ("FILTER TOP 2 ActiveMeasurements WHERE True ORDER BY SignalType DESC, ID", [2, 3]),
        ("FILTER ActiveMeasurements WHERE SignalType='VPHM' ORDER BY PhasorID ASC", [2]),
        ("SignalType = 'freq'", [1]),
        ("SignalType === 'freq'", []),
        ("SignalType !== 'freq' AND SignalType === 'FREQ'", [1]),
        ("SignalType <> 'ALOG'", [1, 2, 3]),
        ("SignalType != 'ALOG' && !(SignalType == 'FREQ')", [2, 3]),
        ("SignalType = 'FREQ' OR SignalType = 'VPHA'", [1, 3]),
        ("SignalType = 'FREQ' || SignalType = 'VPHA' AND Phase = 'B'", [1]),
        ("(SignalType = 'FREQ' OR SignalType = 'VPHA') AND Phase = 'A'", [3]),
        ("NOT NOT SignalType = 'FREQ'", [1]),
        ("SignalType LIKE 'VPH%'", [2, 3]),
        ("SignalType LIKE '%PHA'", [3]),
        ("SignalType LIKE '*ph*'", [2, 3]),
        ("SignalType LIKE 'freq'", [1]),
        ("SignalType LIKE BINARY 'freq'", []),
        ("SignalType NOT LIKE '%L%'", [1, 2, 3]),
        ("ID IN ('HA:1', 'ha:3', 'HA:99')", [1, 3]),
        ("ID IN BINARY ('HA:1', 'ha:3')", [1]),
        ("ID NOT IN ('HA:1') AND PhasorID IN (1, 2.5)", [2, 3]),
        ("PhasorID IN (-1, +1)", [2, 3]),
        ("PhasorID IS NULL", [1, *range(4, 13)]),
        ("PhasorID IS NOT NULL", [2, 3]),
        ("NOT PhasorID = 1", []),
        ("PhasorID = 1 OR SignalType = 'FREQ'", [1, 2, 3]),
        ("Phase = 'A' OR SignalType = 'ALOG'", list(range(2, 13))),
        ("FramesPerSecond >= 1 AND FramesPerSecond < 0x1F", list(range(1, 13))),
        ("FramesPerSecond > 3.1e1", []),
        ("'1' = FramesPerSecond AND ID = 'HA:1'", [1]),
        ("FramesPerSecond = '1' AND ID <= 'HA:1'", [1]),
        ("FramesPerSecond <> 'thirty' AND ID = 'HA:1'", [1]),
        ("Internal AND ID = 'HA:1'", [1]),
        ("Subscribed", []),
        ("NULL", []),
        ("False", []),
        ("True", list(range(1, 13))),
        ("UpdatedOn > #2026-11-20 11:00# AND ID = 'HA:1'", [1]),
        ("UpdatedOn < '2026-11-20T11:00:00Z'", []),
        ("[SignalType] = 'FREQ' AND `Device` = 'METER'", [1]),
        ("LOWER(SignalType) === 'freq'", [1]),
        ("UPPER(Trim(' freq ')) = SignalType", [1]),
        ("LEN(ID) = 5", [10, 11, 12]),
        ("ISNULL(PhasorID, 7) = 7 AND ID = 'HA:1'", [1]),
        ("Contains(SignalType, 'REQ')", [1]),
        ("Contains(SignalType, 'req')", []),
        ("Contains(SignalType, 'req', True)", [1]),
        ("StartsWith(ID, 'HA:1') AND EndsWith(ID, '1')", [1, 11]),
        ("Description = 'it''s; 1'", []),
        ("/* all */ True -- of them", list(range(1, 13))),
        ("HA:1", [1]),
        ("ha:3; HA:1 ;HA:3;HA:77", [3, 1]),
        ('"HA_METER:FREQ1"', [1]),
        ("HA_METER:VPHM2", [2]),
        ("HA:5; FILTER ActiveMeasurements WHERE SignalType='FREQ'; HA:1; HA:6", [5, 1, 6]),
        ("z" * 32, []),
        ("nothing known", None),
        ("ISNULL(PhasorID, 'x') LIKE 'x' OR ID = 'HA:2'", None),
        ("PhasorID IS NULL AND 'x' LIKE NULL", []),
        ("ISNULL(NULL, NULL) LIKE 'x'", []),
        ("UpdatedOn = 'some day'", []),
        ("", []),
        (" ;; ", []),
        ("FILTER ActiveMeasurements WHERE False", []),
    ],
)
async def test_an_expression_selects(expression: str, expected: list[int] | None) -> None:
    if expected is None:
        with pytest.raises(FilterError):
            await ids(expression)
    else:
        assert await ids(expression) == expected


# What the C++, Go and Python stacks make of these; as with them, * binds no more than +.
@pytest.mark.parametrize(
    "truth",
    [
        "1 + 2 * 3 = 9",
        "7 / 2 = 3 AND -7 / 2 = -3 AND -7 % 2 = -1 AND 7.0 / 2 = 3.5",
        "7.5 % 2 = 1.5 AND 2 - 3 = -1",
        "(6 & 3) = 2 AND (6 | 3) = 7 AND (6 ^ 3) = 5 AND (6 XOR 3) = 5 AND ~6 = -7",
        "1 << 4 = 16 AND 256 >> 4 = 16",
        "+1 = 1 AND -(-1) = 1",
        "1 + '2' = 3 AND 'a' + 'b' = 'AB'",
        "NULL + 1 IS NULL AND -NULL IS NULL AND ~NULL IS NULL",
        "Abs(-2) = 2 AND Ceiling(1.2) = 2 AND Floor(-1.2) = -2 AND Round(2.5) = 2 AND Round(3) = 3",
        "Sqrt(9) = 3 AND Power(2, 10) = 1024",
        "IIF(True, 1, 1 / 0) = 1 AND IIF(NULL, 1, 2) = 2",
        "Coalesce(NULL, NULL, 3, 1 / 0) = 3 AND Coalesce(NULL, NULL) IS NULL",
        "SubStr('abcdef', 2) = 'cdef' AND SubStr('abcdef', 2, 2) = 'cd' AND SubStr('a', 5) = ''",
        "SubStr('abc', 1, -1) = '' AND SubStr(NULL, 1) IS NULL",
        "IndexOf('abcb', 'b') = 1 AND IndexOf('abcb', 'B') = -1 AND IndexOf('abcb', 'B', True) = 1",
        "LastIndexOf('abcb', 'b') = 3 AND NthIndexOf('abcb', 'b', 1) = 3",
        "NthIndexOf('abcb', 'b', 2) = -1",
        "Replace('aXbx', 'x', '-') === 'aXb-' AND Replace('aXbx', 'x', '-', True) === 'a-b-'",
        "Replace('abc', '', 'x') === 'abc' AND Reverse('abc') === 'cba'",
        "Split('a,b,c', ',', 1) = 'b' AND Split('a,b', ',', 5) = '' AND Split('a,b', ',', 0) = 'a'",
        "StrCount('abab', 'ab') = 2 AND StrCount(NULL, 'a') = 0 AND StrCount('A', 'a', True) = 1",
        "StrCmp('a', 'b') = -1 AND StrCmp('b', 'a') = 1 AND StrCmp('A', 'a', True) = 0",
        "TrimLeft(' a ') === 'a ' AND TrimRight(' a ') === ' a'",
        "IsNumeric('1.5') AND NOT IsNumeric('x') AND IsInteger('15') AND NOT IsInteger('1.5')",
        "IsNumeric(1.5) AND IsInteger(2) AND NOT IsNumeric(NULL)",
        "IsDate('2026-11-20') AND IsDate(UpdatedOn) AND NOT IsDate('soon')",
        "IsGuid(SignalID) AND IsGuid('{6c1b4b6e-4b1c-4ff1-8f3d-3b3d7b9d3b5a}') AND NOT IsGuid('x')",
        "MaxOf(1, 3, 2) = 3 AND MinOf(2, 1, 3) = 1 AND MaxOf(NULL, 1) = 1",
        "DateDiff(#2024-02-29#, #2026-02-28#, 'Year') = 1",
        "DateDiff(#2026-01-31#, #2026-03-01#, 'Month') = 1",
        "DateDiff(#2026-03-01#, #2026-01-31#, 'Month') = -1",
        "DateDiff(#2026-01-01#, #2026-01-15#, 'Week') = 2",
        "DateDiff('2026-01-01', '2026-01-03', 'Day') = 2",
        "DateDiff(#2026-01-01 00:00#, #2026-01-01 02:30#, 'Hour') = 2",
        "DateDiff(#2026-01-01 00:00#, #2026-01-01 02:30#, 'Minute') = 150",
        "DateDiff(#2026-01-01 00:00#, #2026-01-01 00:01#, 'Second') = 60",
        "DateDiff(#2026-01-01 00:00#, #2026-01-01 00:01#, 'Millisecond') = 60000",
        "DateAdd(#2024-01-31#, 1, 'Month') = #2024-02-29#",
        "DateAdd(#2024-02-29#, 1, 'Year') = #2025-02-28#",
        "DateAdd(#2026-01-01#, -1, 'Day') = #2025-12-31#",
        "DateAdd(#2026-01-01#, 90, 'Minute') = #2026-01-01 01:30#",
        "DateAdd(#2026-01-01#, 1500, 'Millisecond') = #2026-01-01 00:00:01.5#",
        "DatePart(#2026-11-28 21:15:30#, 'Year') = 2026",
        "DatePart(#2026-11-28#, 'Month') = 11 AND DatePart(#2026-11-28#, 'DayOfYear') = 332",
        "DatePart(#2026-11-28#, 'WeekDay') = 7 AND DatePart(#2026-11-28#, 'Week') = 48",
        "DatePart(#2026-11-28 21:15:30.25#, 'Hour') + 0 = 21",
        "DatePart(#2026-11-28 21:15:30.25#, 'Millisecond') = 250",
        "UtcNow() > #2026-01-01# AND Now() <= UtcNow()",
        "Convert('5', 'Int32') = 5 AND Convert(5.9, 'Int32') = 5 AND Convert(1, 'Boolean')",
        "Convert(5, 'String') = '5' AND Convert('1.5', 'Double') = 1.5",
        "Convert('2026-11-20', 'DateTime') = #2026-11-20# AND Convert(True, 'Boolean')",
        "Convert(NULL, 'Int32') IS NULL AND Convert('1.5', 'Decimal') = 1.5",
        "Convert('{6c1b4b6e-4b1c-4ff1-8f3d-3b3d7b9d3b5a}', 'System.Guid') IS NOT NULL",
    ],
)
async def test_a_function_of_the_reference_is_worked_out(truth: str) -> None:
    assert await ids(f"ID = 'HA:1' AND ({truth})") == [1]


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "{{{}}}",
        "'{}'",
        "FILTER ActiveMeasurements WHERE SignalID = '{}'",
        "FILTER ActiveMeasurements WHERE SignalID = {{{}}}",
        "FILTER ActiveMeasurements WHERE SignalID IN ({})",
        "FILTER ActiveMeasurements WHERE 'x' < SignalID AND SignalID = '{} '",
    ],
)
async def test_a_guid_selects_in_any_form(form: str) -> None:
    text = str(signal_id(4))
    if form.endswith("'{} '"):
        assert await ids(form.format(text)) == []
        return
    for guid in (text, text.upper(), text.replace("-", "")):
        assert await ids(form.format(guid)) == [4]


async def test_a_long_list_of_guids_selects() -> None:
    view = metadata(2_000).active_measurements()
    listed = ";".join(str(signal_id(number)) for number in range(1, 2_001))
    assert await ids(listed, view) == list(range(1, 2_001))


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("RegExMatch('^(a+)+$', PointTag)", "Regular expressions are refused: REGEXMATCH"),
        ("RegExVal('a', PointTag) = 'a'", "Regular expressions are refused: REGEXVAL"),
        ("Nonsense(1)", "function NONSENSE is not supported"),
        ("Len()", "LEN does not take 0 arguments"),
        ("Len(ID, ID)", "LEN does not take 2 arguments"),
        ("Len(1) = 1", "takes text"),
        ("1 = ~1.5", "Expected a whole number"),
        ("1 / 0 = 1", "divides by zero"),
        ("1 % 0 = 1", "divides by zero"),
        ("1 << 64 = 1", "shifted by 0 to 63"),
        ("9223372036854775807 + 1 > 0", "does not fit 64 bits"),
        ("1e308 * 10 * 'x' > 0", "Not a number: 'x'"),
        ("#2026-11-20# + 1 > 0", "takes numbers"),
        ("- " * 40 + "1 = 1", "Nested deeper"),
        ("Sqrt(-1) = 1", "SQRT takes no negative"),
        ("Power(10, 400) = 1", "POWER is out of bounds"),
        ("Replace(" * 5 + "PointTag" + ", '', 'x')" * 5 + " = Len(1)", "takes text"),
        (
            "Len(" + "Replace(" * 6 + "'aaaa'" + ", 'a', 'aaaaaaaaaa')" * 6 + ") > 1",
            "grows past 4096",
        ),
        (
            "'"
            + "a" * 1000
            + "' + '"
            + "b" * 1000
            + "'"
            + (" + '" + "c" * 1000 + "'") * 3
            + " = 'x'",
            "grows past 4096",
        ),
        ("Replace('ß', 's', 'x', True) = 'x'", "REPLACE without case"),
        ("Split(ID, '', 1) = 'x'", "SPLIT takes a delimiter"),
        ("DateAdd(UpdatedOn, 10000, 'Year') = UpdatedOn", "out of bounds"),
        ("DateAdd(UpdatedOn, 1, 'Moon') = UpdatedOn", "Not an interval: MOON"),
        ("DateDiff(UpdatedOn, UpdatedOn, 'Moon') = 1", "Not an interval: MOON"),
        ("DatePart(UpdatedOn, 'Moon') = 1", "Not an interval: MOON"),
        ("DatePart('soon', 'Year') = 1", "Not a time: soon"),
        ("Convert(ID, 'Guid') = ID", "Cannot convert HA:1 to GUID"),
        ("Convert(ID, 'Int128') = ID", "CONVERT does not know the type INT128"),
        ("IIF(True, 1) = 1", "IIF does not take 2 arguments"),
        ("Coalesce(1) = 1", "COALESCE does not take 1 arguments"),
        ("ID LIKE 'a%b'", "begins or ends"),
        ("ID LIKE 1", "LIKE takes text"),
        ("ID AND True", "true or false"),
        ("UpdatedOn < 1", "Cannot compare"),
        ("Foo = 1", "Not a column: 'Foo'"),
        ("FILTER Elsewhere WHERE True", "Not a table: 'Elsewhere'"),
        ("FILTER ActiveMeasurements", "Expected WHERE"),
        ("FILTER TOP x ActiveMeasurements WHERE True", "whole number"),
        ("FILTER ActiveMeasurements WHERE True ORDER ID", "Expected BY"),
        ("FILTER ActiveMeasurements WHERE True ORDER BY Foo", "Not a column"),
        ("FILTER ActiveMeasurements WHERE True True", "Expected the end"),
        ("FILTER ActiveMeasurements WHERE", "Expected a value, found 'the end'"),
        ("(True", r"Expected \), found 'the end'"),
        ("ID = 'open", "Unexpected character"),
        ("ID = #yesterday#", "Not a time"),
        ("ID IN ()", "Expected a value"),
        ("ID IN (Device)", "Expected a value"),
        ("True ¬ False", "Unexpected character"),
    ],
)
async def test_what_is_not_understood_is_refused_with_a_reason(expression: str, why: str) -> None:
    with pytest.raises(FilterError, match=why):
        await ids(expression)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("HA:1;" * (MAX_LENGTH // 5 + 1), "longer than"),
        ("(" * 40 + "True" + ")" * 40, "Nested deeper"),
        ("NOT " * 400 + "True", "More than 256 terms"),
        ("ID" + " IS NULL" * 300, "More than 256 terms"),
        ("ID = '" + "x" * 1100 + "'", "longer than 1024"),
        ("DeviceID = 1." + "9" * 4_000, "number in a filter expression is longer than 32"),
        ("DeviceID = 0x" + "f" * 4_000, "number in a filter expression is longer than 32"),
        (
            "FILTER ActiveMeasurements WHERE True ORDER BY " + ", ".join(["ID"] * 9),
            "More than 8 columns",
        ),
        (" OR ".join(["ID = 'x'"] * 200), "More than 256 terms"),
        ("ID IN (" + ",".join(["1"] * 1_100) + ")", "More than 1000 items"),
        (";".join(["FILTER ActiveMeasurements WHERE True"] * 20), "More than 16 statements"),
    ],
)
async def test_an_expression_has_its_limits(expression: str, why: str) -> None:
    with pytest.raises(FilterError, match=why):
        await ids(expression)


@pytest.mark.parametrize(
    "expression",
    [
        " OR ".join(["PointTag LIKE '%zzz%'"] * 100),
        "a;" * 100_000,
        "ID IN (" + ",".join(f"'{signal_id(number)}'" for number in range(1_000)) + ")",
        "{" * 200_000,
        "'" * 200_000,
        "/*" * 100_000,
        "((((" * 50_000,
        "-" * 200_000,
        "Contains(PointTag, '" + "A" * 200_000 + "B')",
    ],
    ids=["terms", "names", "list", "braces", "quotes", "comments", "nested", "minus", "needle"],
)
async def test_an_expression_built_to_run_long_leaves_the_event_loop_alone(
    expression: str, stalls: list[float]
) -> None:
    view = metadata(3_000).active_measurements()
    names = Names(view)
    stalls.clear()
    begun = perf_counter()
    with suppress(FilterError):
        await select(expression, [view], view.name, names)
    assert perf_counter() - begun < 5
    # A bound for a machine with other things to do; alone it is a few milliseconds.
    assert max(stalls, default=0.0) < 0.5


async def test_filters_of_metadata_select_from_each_table() -> None:
    tables = metadata(5).tables()
    rows = await select(
        "FILTER MeasurementDetail WHERE SignalAcronym <> 'ALOG';"
        "FILTER DeviceDetail WHERE Acronym = 'OTHER'",
        tables,
        "MeasurementDetail",
    )
    assert len(rows["MeasurementDetail"]) == 3
    assert rows["DeviceDetail"] == []
    assert "PhasorDetail" not in rows


async def test_names_of_signals_are_no_filter_of_metadata() -> None:
    with pytest.raises(FilterError):
        await select("HA:1", metadata(5).tables(), "MeasurementDetail")


async def test_nothing_is_selected_of_nothing() -> None:
    assert await ids("HA:1; True", Metadata().active_measurements()) == []


async def test_a_signal_that_two_statements_select_is_there_once() -> None:
    assert await ids("HA:1; True; HA:2") == list(range(1, 13))


async def test_sorting_copes_with_nulls() -> None:
    offered = metadata(3)
    view = replace(
        offered, measurements=(*offered.measurements[1:], offered.measurements[0])
    ).active_measurements()
    assert await ids("FILTER ActiveMeasurements WHERE True ORDER BY PhasorID, ID DESC", view) == [
        1,
        3,
        2,
    ]
