import pytest

from tfopt.factorization.methods.einsum import Product


@pytest.mark.parametrize(
    ("equation", "summed", "made"),
    [
        ("ab,bc->ac", "b", "c"),
        ("abc,cde->abde", "c", "de"),
        ("abde,edc->abc", "ed", "c"),
        ("...x,xy->...y", "x", "y"),
        ("abc...,cd->abd...", "c", "d"),
        ("abc, dc -> adb", "c", "d"),
    ],
)
def test_a_matrix_product_over_merged_axes(equation, summed, made):
    product = Product.of(equation)
    assert (product.summed, product.made) == (summed, made)


@pytest.mark.parametrize(
    "equation",
    [
        "abc,bcd->abd",  # a matrix for each b
        "abc,cd->ad",  # b is summed without the kernel
        "ab,bc->abc",  # b is kept
        "abc,c->ab",  # makes nothing
        "ab,c->abc",  # sums nothing
    ],
)
def test_other_contractions_are_none(equation):
    assert Product.of(equation) is None
