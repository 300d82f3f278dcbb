"""DICOM files in: a picture for the network, facts that identify nobody.

What other modules call:

    reading.Reading                       a settings section; `settings.reading.decoder` goes to
                                          `Column(kind="image", decoder=...)`, `finetune.Task(decoder=...)`,
                                          `images.Stream(..., decoder=...)`, `images.decode(cell, decoder)`;
                                          `images.method(decoder)` is the sentence for the bundle's facts
    dicom.picture(content, **options)     bytes -> uint8 grey `(rows, columns)` or RGB `(rows, columns, 3)`;
                                          None where the contents are no DICOM (PNG, JPEG and TIFF are Pillow's)
    dicom.facts(content)                  bytes -> Facts(modality, photometric, rows, columns, frames, ...);
                                          None where the contents are no DICOM
    identifying.identifying(content)      bytes -> tuple of Tag(keyword, why): which tags still identify people,
                                          never a value; () where there are none, or the contents are no DICOM

All raise `solvent.images.Unreadable` with the reason and nothing else; no message holds a value of the file
except its transfer syntax, photometric interpretation, modality and sizes.
"""
