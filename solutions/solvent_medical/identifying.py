"""Which elements of a file still identify people: their names, never their values.

Of DICOM files here, those of its head (group 0002) too; of photos in `exif`.

An element counts where it holds something: no empty value, and no dummy. A value is a dummy if it is one of the words
of `DUMMIES`, such as ANONYMOUS or 19000101, or ANON and the like with only digits behind, or X or 0 again and again;
case, and whatever is no letter or digit, do not matter. Sequences are looked into.

A file that says that it was de-identified (PatientIdentityRemoved is YES) may keep a patient's name and IDs: they are
pseudonyms, by which its images are known to be of one patient. It may keep private elements only if it says that it
kept those that are safe (code 113111). Nothing else is excused.

What identifies only together with other records is not listed: UIDs, dates of the study, devices and stations, and what
describes series, study, protocol or how the picture was derived, though the profile removes it too. Nor are sex, size,
weight and an age of up to 89: the profile's option Retain Patient Characteristics keeps them.

An element that may identify and can't be read counts as one that does; any other is not looked at.

Source: DICOM PS3.15 Annex E, table E.1-1, Basic Application Level Confidentiality Profile.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from solvent import Finding, images
from solvent.wording import listed, many

from . import exif
from .dicom import guarded, is_dicom, read

__all__ = ["Tag", "identified", "identifying", "reasons"]

NAME = "names a person"
PRIVATE = "is a maker's own, which may hold anything"
TEXT = "is free text about a person"
COMMENTS = "Comments"  # in a keyword, such as IdentifyingComments or CommentsOnRadiationDose: it is such a text
WHY = {
    "is an identifier that a hospital or an authority gave": """
        PatientID OtherPatientIDs AccessionNumber AdmissionID IssuerOfPatientID IssuerOfAdmissionID ServiceEpisodeID
        MedicalRecordLocator StudyID PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest
        RequestedProcedureID ScheduledProcedureStepID PerformedProcedureStepID InsurancePlanIdentification
        ResultsID InterpretationID ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ClinicalTrialSiteID
        PersonIdentificationCodeSequence PatientInsurancePlanCodeSequence""",
    "is a date of a person's life": """
        PatientBirthDate PatientBirthTime PatientBirthDateInAlternativeCalendar PatientDeathDateInAlternativeCalendar
        LastMenstrualDate""",
    "tells where a person lives or is reached": """
        PatientAddress PatientTelephoneNumbers PatientTelecomInformation CountryOfResidence RegionOfResidence
        PersonAddress PersonTelephoneNumbers PersonTelecomInformation ReferringPhysicianAddress
        ReferringPhysicianTelephoneNumbers OrderCallbackPhoneNumber OrderCallbackTelecomInformation
        ResponsibleOrganization CurrentPatientLocation PatientInstitutionResidence""",
    "names a hospital or one of its departments": """
        InstitutionName InstitutionAddress InstitutionalDepartmentName InstitutionCodeSequence RequestingService
        VerifyingOrganization ClinicalTrialSiteName ClinicalTrialCoordinatingCenterName ClinicalTrialSponsorName
        ClinicalTrialProtocolEthicsCommitteeName HumanPerformerOrganization ScheduledProcedureStepLocation
        PerformedLocation RequestedProcedureLocation""",
    "names a system of a hospital": """
        SourceApplicationEntityTitle SendingApplicationEntityTitle ReceivingApplicationEntityTitle
        SourcePresentationAddress SendingPresentationAddress ReceivingPresentationAddress RetrieveAETitle
        ScheduledStationAETitle PerformedStationAETitle""",
    "tells a person's rank, occupation, religion or ethnic group": """
        MilitaryRank BranchOfService Occupation PatientReligiousPreference EthnicGroup""",
    TEXT: """
        AdditionalPatientHistory PatientState InterpretationText InterpretationDiagnosisDescription Impressions
        MedicalAlerts Allergies SpecialNeeds ReasonForStudy ReasonForVisit ReasonForTheImagingServiceRequest
        ReasonForTheRequestedProcedure TextString TextValue UnformattedTextValue
        AdmittingDiagnosesDescription DischargeDiagnosisDescription
        ConfidentialityConstraintOnPatientDataDescription PatientTransportArrangements""",
    PRIVATE: "PrivateInformation",
}
REASONS = {keyword: why for why, keywords in WHY.items() for keyword in keywords.split()}
PSEUDONYMS = ("PatientName", "PatientID", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID")
SHOWN = {
    "BurnedInAnnotation": "says that text about the patient is burnt into the pixels",
    "RecognizableVisualFeatures": "says that the picture shows a person, such as by a face",
}
OLDEST = 89  # years: so few people are older that an age tells who they are (45 CFR 164.514(b)(2)(i)(C))
OLD = f"is an age over {OLDEST}"
AGE = "PatientAge"
TOLD = 12  # elements in a message
SAFE_PRIVATE = "113111"  # PS3.16 CID 7050: Retain Safe Private Option
DUMMIES = """
ANONYM ANONYMOUS ANONYMIZED ANONYMISED ANONYMOUSPATIENT PATIENTANONYMOUS DEIDENTIFIED PSEUDONYMIZED PSEUDONYMISED
REMOVED REDACTED DELETED NONE NULL NA UNKNOWN UNSPECIFIED NOTAVAILABLE NONAME DUMMY 19000101 19700101 00010101 18000101
"""
DUMMY = re.compile(r"ANON(YM(OUS|I[SZ]ED)?)?\d*|X+|0+", re.ASCII)


@dataclass(frozen=True, order=True)
class Tag:
    """An element that identifies people.

    Args:
        keyword: DICOM's, behind those of the sequences that it lies in: "BeamSequence.InstitutionName".
        why: a reason to put behind the keyword in a sentence.
    """

    keyword: str
    why: str


def identifying(content: bytes) -> tuple[Tag, ...]:
    """The elements of a file that identify people, each once, in the order of their keywords.

    Returns:
        Of contents that are no DICOM what a photo's metadata says.

    Raises:
        Unreadable: if the file is damaged.
    """
    if not is_dicom(content):
        return tuple(Tag(keyword, why) for keyword, why in exif.identifying(content))
    data = read(content)
    found = {*_found(data, ""), *_found(data.file_meta, "")}
    excused = _excused(data)
    return tuple(sorted({tag for tag in found if not {tag.keyword, tag.why} & excused}))


def identified(cells: Collection[images.Cell]) -> list[Finding]:
    """What is said where files among image cells still identify people: finding `identifying_tags`.

    Files that can't be read are no matter here: their rows have been set aside, with the reason.
    """
    told = _of_cells(cells)
    count = sum(map(bool, told))
    if not count:
        return []
    tags = Counter(tag for tags in told for tag in tags).most_common()
    return [
        Finding(
            name="identifying_tags",
            severity="warning",
            message=f"{many(count, 'file')} of {many(len(told), 'image')} still identify people: "
            + listed((f"{tag.keyword} {tag.why} ({number:,})" for tag, number in tags), TOLD)
            + ". Only the pixels are read, so nothing of this reaches the bundle; but the files are where they should "
            "not be.",
            cure="De-identify them by DICOM PS3.15, Annex E (such as by the RSNA's CTP or dcm4che's deidentify), or "
            "allow it, in scoring too: settings: {identifying: allow}.",
            count=count,
        )
    ]


def reasons(cells: Collection[images.Cell]) -> list[str | None]:
    """Why an image may not be scored: that its file still identifies people; None where it does not."""
    return [
        f"still identifies a person: {listed((tag.keyword for tag in tags), TOLD)} (de-identify it)" if tags else None
        for tags in _of_cells(cells)
    ]


def _of_cells(cells: Collection[images.Cell]) -> list[tuple[Tag, ...]]:
    with ThreadPoolExecutor(images.THREADS, "solvent-tags") as threads:
        return list(threads.map(_of_cell, cells))


def _of_cell(cell: images.Cell) -> tuple[Tag, ...]:
    try:
        return identifying(images.contents(cell))
    except images.Unreadable:  # of the file as a whole: its picture can't be read either, and its row is set aside
        return ()


def _excused(data: Dataset) -> set[str]:
    """The keywords and reasons of what a file may keep, since it says how it was de-identified."""
    try:
        with guarded("what it says of its de-identification"):
            excused = set(PSEUDONYMS) if _text(data.get("PatientIdentityRemoved")) == "YES" else set()
            methods = data.get("DeidentificationMethodCodeSequence") or []
            if any(_text(method.get("CodeValue")) == SAFE_PRIVATE for method in methods):
                excused.add(PRIVATE)
            return excused
    except images.Unreadable:
        return set()


def _found(data: Dataset, within: str) -> Iterator[Tag]:
    """Only what may identify, and sequences, are decoded: a bad number elsewhere is no matter here."""
    for tag in sorted(data.keys()):
        if tag.is_private_creator:
            continue
        name = keyword_for_tag(tag) or f"({tag.group:04x},{tag.element:04x})"
        kinds = _kinds(data, tag)
        why = NAME if "PN" in kinds else TEXT if COMMENTS in name else REASONS.get(name)
        if tag.is_private:
            name, why = f"private elements of group {tag.group:04x}", PRIVATE
        if why is None and "SQ" not in kinds and name not in (*SHOWN, AGE):
            continue
        try:
            with guarded("one of its elements"):
                yield from _told(data[tag].value, name, within, why)
        except images.Unreadable:
            yield Tag(within + name, PRIVATE if tag.is_private else exif.UNREADABLE)


def _told(value: object, name: str, within: str, why: str | None) -> Iterator[Tag]:
    """What one element tells, and what stands in it if it is a sequence."""
    keyword = within + name
    if isinstance(value, Sequence):
        for item in value:
            yield from _found(item, f"{keyword}.")
        if why is not None and any(len(item) for item in value):
            yield Tag(keyword, why)
    elif name in SHOWN:
        if _text(value) == "YES":
            yield Tag(keyword, SHOWN[name])
    elif name == AGE:
        if _is_old(value):
            yield Tag(keyword, OLD)
    elif why is not None and _tells(value):
        yield Tag(keyword, why)


def _kinds(data: Dataset, tag: BaseTag) -> set[str | None]:
    """The value representations that an element has: in the file, and by the dictionary."""
    known = dictionary_VR(tag) if dictionary_has_tag(tag) else None
    return {data.get_item(tag).VR, known}


def _is_old(value: object) -> bool:
    """Whether an age, such as 093Y, is over 89 years, as a number alone is; days, weeks and months are three digits."""
    found = re.fullmatch(r"(\d+)Y?", _text(value), re.ASCII)
    return found is not None and int(found[1]) > OLDEST


def _tells(value: object) -> bool:
    """Whether a value holds something that is no dummy."""
    if isinstance(value, MultiValue | list):
        return any(map(_tells, value))
    text = _text(value)
    return bool(text) and text not in DUMMIES.split() and not DUMMY.fullmatch(text)


def _text(value: object) -> str:
    """Letters and digits of a value, in capitals."""
    if value is None:
        return ""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return re.sub(r"[\W_]+", "", text).upper()
