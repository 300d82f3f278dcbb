"""Which elements of a DICOM file identify people, and that their values are told to nobody."""

import io
import struct
import zlib
from pathlib import Path

import pydicom
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from pydicom import Dataset, uid
from pydicom.datadict import dictionary_VR, tag_for_keyword

from solvent.images import Unreadable
from solvent_medical import identifying
from solvent_medical.identifying import Tag

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def file(data: Dataset) -> bytes:
    data.SOPClassUID, data.SOPInstanceUID = uid.SecondaryCaptureImageStorage, "1.2.3"
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    kept = io.BytesIO()
    data.save_as(kept, enforce_file_format=True)
    return kept.getvalue()


def item(**elements) -> Dataset:
    data = Dataset()
    for name, value in elements.items():
        setattr(data, name, value)
    return data


def found(**elements) -> list[str]:
    return [tag.keyword for tag in identifying.identifying(file(item(**elements)))]


def test_the_list_holds_only_what_dicom_knows():
    for keyword in (*identifying.REASONS, *identifying.PSEUDONYMS, *identifying.SHOWN, identifying.AGE):
        assert tag_for_keyword(keyword) is not None, keyword


@pytest.mark.parametrize(
    ("keyword", "value", "why"),
    [
        ("PatientName", "Doe^Jane", "names a person"),
        ("PatientID", "4711", "is an identifier that a hospital or an authority gave"),
        ("PatientBirthDate", "19550505", "is a date of a person's life"),
        ("PatientAddress", "1 High Street", "tells where a person lives or is reached"),
        ("InstitutionName", "St. Elsewhere", "names a hospital or one of its departments"),
        ("ReferringPhysicianName", "Who^Doctor", "names a person"),
        ("OperatorsName", ["A^B", "C^D"], "names a person"),
        ("AccessionNumber", "A-1", "is an identifier that a hospital or an authority gave"),
        ("PatientComments", "sister of Jane", "is free text about a person"),
        ("BurnedInAnnotation", "YES", "says that text about the patient is burnt into the pixels"),
    ],
)
def test_each_kind_is_told_with_its_reason_and_without_its_value(keyword, value, why):
    told = identifying.identifying(file(item(**{keyword: value})))
    assert told == (Tag(keyword, why),)
    assert str(value) not in repr(told)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Anonymous",
        "ANON^YMOUS",
        "anonymized",
        "ANON-0042",
        "Anonymized 17",
        "XXXX",
        "x^x",
        "0000",
        "REMOVED",
        "N/A",
    ],
)
def test_empty_values_and_dummies_count_as_absent(value):
    assert found(PatientName=value, PatientID=value, InstitutionName=value) == []


@pytest.mark.parametrize("value", ["Anonby^Erik", "12345", "1", "X1", "山田^太郎", "Xi^Li", "00017"])
def test_what_only_looks_like_a_dummy_counts(value):
    told = found(SpecificCharacterSet="ISO_IR 192", PatientName=value, PatientID=value)
    assert told == ["PatientID", "PatientName"]


def test_dummy_birth_dates_count_as_absent_and_burnt_in_no_is_no():
    assert found(PatientBirthDate="19000101", BurnedInAnnotation="NO", RecognizableVisualFeatures="NO") == []


def test_sequences_are_looked_into_however_deep():
    inner = item(RequestedProcedureID="P-9", PersonName="Doe^Jane")
    told = found(RequestAttributesSequence=[item(ReferencedStudySequence=[inner])], OtherPatientIDsSequence=[item()])
    assert told == [
        "RequestAttributesSequence.ReferencedStudySequence.PersonName",
        "RequestAttributesSequence.ReferencedStudySequence.RequestedProcedureID",
    ]
    assert found(OtherPatientIDsSequence=[item(PatientID="7")]) == ["OtherPatientIDsSequence.PatientID"]


def test_any_name_of_a_person_counts_listed_or_not():
    assert dictionary_VR("ReviewerName") == "PN"
    assert "ReviewerName" not in identifying.REASONS
    assert found(ReviewerName="Doe^Jane") == ["ReviewerName"]


def test_private_elements_count_but_for_those_that_are_kept_as_safe():
    data = item(PatientSex="F")
    block = data.private_block(0x0009, "Maker 1", create=True)
    block.add_new(0x10, "LO", "Jane's scan")
    block.add_new(0x11, "LO", "")
    told = identifying.identifying(file(data))
    assert told == (Tag("private elements of group 0009", "is a maker's own, which may hold anything"),)
    data.PatientIdentityRemoved = "YES"
    assert identifying.identifying(file(data)) == told
    data.DeidentificationMethodCodeSequence = [item(CodeValue="113111", CodingSchemeDesignator="DCM")]
    assert identifying.identifying(file(data)) == ()


def test_a_de_identified_file_keeps_its_pseudonyms_and_nothing_else():
    people = {"PatientName": "CASE-17", "PatientID": "17", "PatientBirthDate": "19550505"}
    assert found(**people) == ["PatientBirthDate", "PatientID", "PatientName"]
    assert found(**people, PatientIdentityRemoved="YES") == ["PatientBirthDate"]
    assert found(**people, PatientIdentityRemoved="NO") == ["PatientBirthDate", "PatientID", "PatientName"]
    nested = found(PatientIdentityRemoved="YES", OtherPatientIDsSequence=[item(PatientID="7")])
    assert nested == ["OtherPatientIDsSequence.PatientID"]


def test_what_only_links_is_not_listed():
    study = {"StudyDate": "20200101", "StudyInstanceUID": "1.2.3.4", "StationName": "CT1", "StudyDescription": "Jane"}
    assert found(**study) == []


@pytest.mark.parametrize(
    ("age", "told"),
    [("089Y", False), ("090Y", True), ("104Y", True), ("095", True), ("0095Y", True), ("89", False), ("120M", False)],
)
def test_an_age_over_89_tells_who_it_is(age, told):
    assert found(PatientAge=age) == ["PatientAge"] * told


def test_burnt_in_text_and_ages_inside_sequences_are_seen_too():
    within = item(PatientAge="093Y", BurnedInAnnotation="YES", RecognizableVisualFeatures="NO")
    assert found(ReferencedImageSequence=[within]) == [
        "ReferencedImageSequence.BurnedInAnnotation",
        "ReferencedImageSequence.PatientAge",
    ]


@pytest.mark.parametrize(
    "keyword",
    [
        *("AcquisitionComments", "IdentifyingComments", "ImagePresentationComments", "CommentsOnRadiationDose"),
        *("ReasonForVisit", "ReasonForTheImagingServiceRequest", "Impressions", "UnformattedTextValue"),
    ],
)
def test_what_people_write_of_people_counts_wherever_it_stands(keyword):
    text = item(**{keyword: "sister of Jane"})
    assert identifying.identifying(file(text)) == (Tag(keyword, "is free text about a person"),)
    assert found(GraphicAnnotationSequence=[item(TextObjectSequence=[text])]) == [
        f"GraphicAnnotationSequence.TextObjectSequence.{keyword}"
    ]


def element(group: int, number: int, kind: str, value: bytes) -> bytes:
    length = struct.pack("<xxI", len(value)) if kind == "SQ" else struct.pack("<H", len(value))
    return struct.pack("<HH", group, number) + kind.encode() + length + value


MAKER = element(0x7F01, 0x0010, "LO", b"MAKER ")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (element(0x0040, 0x0275, "SQ", b"\xfe\xff\x00\xe0\x10"), "RequestAttributesSequence"),
        (MAKER + element(0x7F01, 0x1001, "FD", b"\0" * 6), "private elements of group 7f01"),
        (MAKER + element(0x7F01, 0x1001, "US", b"\0" * 3), "private elements of group 7f01"),
        (MAKER + element(0x7F01, 0x1001, "ZZ", b"\0\0"), "private elements of group 7f01"),
    ],
)
def test_an_element_that_can_t_be_read_counts_and_hides_no_other(broken, told):
    content = file(item(PatientName="Doe^Jane")) + broken
    assert [tag.keyword for tag in identifying.identifying(content)] == ["PatientName", told]
    assert identifying.reasons([content]) == [f"still identifies a person: PatientName, {told} (de-identify it)"]
    assert [tag.keyword for tag in identifying.identifying(file(item(PatientIdentityRemoved="YES")) + broken)] == [told]


def test_subjects_of_a_trial_are_pseudonyms_and_its_sites_are_not():
    trial = {"ClinicalTrialSubjectID": "S-17", "ClinicalTrialSubjectReadingID": "R-17", "ClinicalTrialSiteName": "Rome"}
    assert found(**trial) == sorted(trial)
    assert found(**trial, PatientIdentityRemoved="YES") == ["ClinicalTrialSiteName"]


def test_the_head_of_a_file_is_looked_into_too():
    data = pydicom.dcmread(io.BytesIO(file(item(PatientSex="F"))))
    data.file_meta.SourceApplicationEntityTitle = "ST_ELSEWHERE"
    data.file_meta.PrivateInformationCreatorUID, data.file_meta.PrivateInformation = "1.2.3", b"Jane Doe"
    kept = io.BytesIO()
    data.save_as(kept)
    told = [tag.keyword for tag in identifying.identifying(kept.getvalue())]
    assert told == ["PrivateInformation", "SourceApplicationEntityTitle"]


def photo(form: str, *, gps: bool = False, **options) -> bytes:
    exif = Image.Exif()
    exif[0x0131] = "a program"
    for tag, value in options.pop("fields", {}).items():
        exif[tag] = value
    if gps:
        exif.get_ifd(0x8825)[1], exif.get_ifd(0x8825)[2] = "N", (41.9, 12.5, 0.0)
    kept = io.BytesIO()
    Image.new("RGB", (8, 8)).save(kept, form, exif=exif, **options)
    return kept.getvalue()


def test_photos_say_whose_they_are_and_where_they_were_taken():
    assert identifying.identifying(photo("JPEG")) == ()
    told = identifying.identifying(photo("JPEG", gps=True, fields={0x013B: "Jane Doe"}, comment=b"sister of Jane"))
    assert [tag.keyword for tag in told] == ["EXIF Artist", "EXIF GPS", "text comment"]
    assert "Jane" not in repr(told)
    assert [tag.keyword for tag in identifying.identifying(photo("TIFF", fields={0x010E: "Doe, Jane"}))] == [
        "EXIF ImageDescription"
    ]
    for harmless in ('{"shape": [8, 8]}', "ImageJ=1.53t", "\0\0"):
        assert identifying.identifying(photo("TIFF", fields={0x010E: harmless})) == ()
    words = PngInfo()
    words.add_text("Author", "Jane Doe")
    words.add_text("Software", "a program")
    told = identifying.identifying(photo("PNG", pnginfo=words))
    assert [tag.keyword for tag in told] == ["text author"]


XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:e="http://ns.adobe.com/exif/1.0/"
 e:GPSLatitude="41,54.0N" e:PixelXDimension="8"><dc:format>image/jpeg</dc:format>
<dc:creator><rdf:Seq><rdf:li>Jane Doe</rdf:li></rdf:Seq></dc:creator>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default"/></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def keywords(content: bytes) -> list[str]:
    told = identifying.identifying(content)
    assert "Jane" not in repr(told)
    return [tag.keyword for tag in told]


def test_xmp_of_photos_is_looked_into():
    told = ["XMP GPSLatitude", "XMP creator"]
    words = PngInfo()
    words.add_itxt("XML:com.adobe.xmp", XMP.decode())
    assert keywords(photo("JPEG", xmp=XMP)) == told
    assert keywords(photo("WEBP", xmp=XMP)) == told
    assert keywords(photo("PNG", pnginfo=words)) == told
    assert keywords(photo("TIFF", fields={700: XMP})) == told
    assert keywords(photo("JPEG", xmp=XMP.replace(b"Jane Doe", b"").replace(b"41,54.0N", b""))) == []
    assert identifying.identifying(photo("JPEG", xmp=XMP[:-60])) == (
        Tag("XMP", "can't be read, so it may hold anything"),
    )


def test_iptc_of_photos_is_looked_into():
    fields = ((80, b"Jane Doe"), (120, b"sister of Jane"), (5, b""), (60, b"101500"))
    iptc = b"".join(b"\x1c\x02" + struct.pack(">BH", number, len(value)) + value for number, value in fields)
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    plain = photo("JPEG")
    jpeg = plain[:2] + b"\xff\xed" + struct.pack(">H", len(block) + 2) + block + plain[2:]
    directory = ImageFileDirectory_v2()
    directory[33723], directory.tagtype[33723] = iptc, 7
    kept = io.BytesIO()
    Image.new("RGB", (8, 8)).save(kept, "TIFF", tiffinfo=directory)
    for content in (jpeg, kept.getvalue()):
        assert keywords(content) == ["IPTC 2:120", "IPTC 2:80"]


def test_a_text_of_a_png_counts_whatever_it_is_called_and_wherever_it_stands():
    words = PngInfo()
    for name in ("PatientName", "Software", "Creation Time", "date:create"):
        words.add_text(name, "Jane Doe")
    assert keywords(photo("PNG", pnginfo=words)) == ["text patientname"]
    plain, chunk = photo("PNG"), b"tEXtMRN\x004711"
    behind = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert keywords(plain[:-12] + behind + plain[-12:]) == ["text mrn"]  # the last 12 bytes are the end of the file


def test_sex_age_and_a_broken_number_elsewhere_are_no_matter():
    assert found(PatientSex="F", PatientAge="050Y", Modality="CT") == []
    content = file(item(WindowCenter="40", WindowWidth="4000", PatientID="17")).replace(b"4000", b"4.0k")
    assert [tag.keyword for tag in identifying.identifying(content)] == ["PatientID"]


def test_pydicom_s_own_files_are_told_apart():
    small = {tag.keyword for tag in identifying.identifying((FILES / "CT_small.dcm").read_bytes())}
    assert {"PatientName", "PatientID", "OtherPatientIDsSequence.PatientID", "InstitutionName"} <= small
    assert "private elements of group 0009" in small
    assert identifying.identifying((FILES / "SC_rgb_jpeg.dcm").read_bytes()) == ()
    nested = identifying.identifying((FILES / "rtplan.dcm").read_bytes())
    assert "BeamSequence.InstitutionName" in {tag.keyword for tag in nested}


def test_other_formats_hold_no_elements_and_damaged_files_say_so():
    assert identifying.identifying(b"\x89PNG") == ()
    whole = (FILES / "CT_small.dcm").read_bytes()
    with pytest.raises(Unreadable, match=r"names no transfer syntax|is damaged or cut off"):
        identifying.identifying(whole[:150])


def test_the_files_of_a_table_are_counted_and_no_value_is_told(tmp_path):
    jane = item(PatientName="Doe^Jane", InstitutionName="St. Elsewhere")
    (tmp_path / "1.dcm").write_bytes(file(jane))
    cells = [str(tmp_path / "1.dcm"), file(item(PatientName="Roe^Ann")), file(item(PatientSex="F")), b"\x89PNG", "gone"]
    (finding,) = identifying.identified(cells)
    assert (finding.name, finding.severity, finding.count) == ("identifying_tags", "warning", 2)
    assert finding.message.startswith(
        "2 files of 5 images still identify people: PatientName names a person (2), InstitutionName names a "
        "hospital or one of its departments (1). "
    )
    assert not any(value in finding.message + finding.cure for value in ("Doe", "Roe", "Jane", "Elsewhere"))
    assert identifying.identified(cells[2:]) == []
    whose = "still identifies a person: PatientName (de-identify it)"
    assert identifying.reasons(cells[1:]) == [whose, None, None, None]
