"""Real series of three vendors' hands: a sample of each folder, all eight operations."""

from pathlib import Path

import pytest

from cmr_node.dicom.header import scan
from cmr_node.dicom.products import is_own_product
from cmr_node.dicom.reading import parse, read, read_header
from cmr_node.errors import RefusedStack
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.proof import prove
from tests.dciodvfy import needs_dciodvfy, new_errors
from tests.outputs.making import made
from tests.samples import data_set_bytes

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
FOLDERS = sorted({path.parent for path in SHARED.rglob("*.dcm")})

pytestmark = pytest.mark.skipif(not FOLDERS, reason="the shared data are not here")


def sample(folder: Path) -> list[Path]:
    """The first, the middle and the last instance."""
    paths = sorted(folder.glob("*.dcm"))
    return [paths[0], paths[len(paths) // 2], paths[-1]]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_value_of_a_real_image_keeps_its_place(folder: Path) -> None:
    for path in sample(folder):
        source = read(path)
        for operation in Orientation:
            assert prove(made(source, operation), source) < 1e-9


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_real_image_comes_back_as_our_product_and_is_not_turned_again(
    folder: Path, tmp_path: Path
) -> None:
    path = sample(folder)[1]
    out = made(read(path), Orientation.ROT90CCW)
    turned = parse(out)
    header = scan(data_set_bytes(turned), turned.file_meta.TransferSyntaxUID)
    assert is_own_product(header)
    assert not is_own_product(read_header(path))
    with pytest.raises(RefusedStack, match="this product"):
        made(turned, Orientation.ROT90CW)


@needs_dciodvfy
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_dciodvfy_finds_no_new_error_in_a_real_image(folder: Path, tmp_path: Path) -> None:
    path = sample(folder)[1]
    for operation in (Orientation.ROT90CW, Orientation.FLIP_LR):
        turned = tmp_path / "derived.dcm"
        turned.write_bytes(made(read(path), operation))
        assert new_errors(turned, path) == set()
