"""The face recognisers of the textbooks: Eigenfaces, Fisherfaces and local binary patterns."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.feature import local_binary_pattern
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics.pairwise import additive_chi2_kernel

from export.face_scores import Array, Labels
from training.facemodels.models import FaceModel, Faces

SIDE = 64
"""Faces are made this small for the two that look at all pixels together."""
COMPONENTS = 150
"""Eigenfaces that are kept, at most."""


def grey_pixels(faces: Faces) -> Array:
    """[N, 64 * 64]: grey faces, equalised, as rows."""
    small = [cv2.resize(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
             for face in faces]  # fmt: skip
    return np.stack([cv2.equalizeHist(face).ravel() for face in small]) / 255.0


class Eigenfaces(FaceModel):
    """Principal components of the enrolled photos (Turk and Pentland 1991), whitened.

    As in scikit-learn's example: plain distances find the nearest of 100 people of LFW in 13 % of cases, cosines of
    whitened components in 32 (people who are in no test).
    """

    name = "eigenfaces"
    about = f"PCA, {COMPONENTS} components at most, whitened"
    learns = True

    def learn(self, faces: Faces, owners: Labels) -> None:
        """See `FaceModel.learn`."""
        del owners
        self._pca = PCA(min(COMPONENTS, len(faces) - 1), whiten=True, svd_solver="full").fit(grey_pixels(faces))

    def embed(self, faces: Faces) -> Array:
        """See `FaceModel.embed`."""
        return np.asarray(self._pca.transform(grey_pixels(faces)))

    @property
    def bytes(self) -> int:
        """Of components and mean as float32."""
        return 4 * int(self._pca.components_.size + self._pca.mean_.size)


class Fisherfaces(FaceModel):
    """Components that part people, after principal components (Belhumeur et al. 1997).

    The scatter within people is shrunk by Ledoit and Wolf's rule: with three photos each it is hardly known, and the
    textbook's own finds the nearest of 100 people of LFW in 7 % of cases instead of 34 (people who are in no test).
    """

    name = "fisherfaces"
    about = "PCA to photos less people, then shrunk LDA"
    learns = True

    def learn(self, faces: Faces, owners: Labels) -> None:
        """See `FaceModel.learn`."""
        pixels = grey_pixels(faces)
        people = len(np.unique(owners))
        self._pca = PCA(max(1, min(len(faces) - people, pixels.shape[1])), svd_solver="full").fit(pixels)
        self._lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
        self._lda.fit(self._pca.transform(pixels), owners)
        self._numbers = min(people - 1, self._pca.n_components_)

    def embed(self, faces: Faces) -> Array:
        """See `FaceModel.embed`."""
        return np.asarray(self._lda.transform(self._pca.transform(grey_pixels(faces))))

    @property
    def bytes(self) -> int:
        """Of both projections, made one, and the mean, as float32."""
        return 4 * self._pca.mean_.size * (self._numbers + 1)


class LocalBinaryPatterns(FaceModel):
    """Histograms of local binary patterns in 8x8 cells, compared by chi squared (Ahonen et al. 2006)."""

    name = "lbph"
    about = "uniform patterns, radius 1, 8x8 cells, chi squared"
    key = "lbph uniform radius 1 cells 8"
    CELLS = 8
    PATTERNS = 59

    def embed(self, faces: Faces) -> Array:
        """[N, 8 * 8 * 59]: shares of each pattern in each cell."""
        return np.stack([self._histogram(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)) for face in faces])

    def prepared(self, vectors: Array) -> Array:
        """As they are: each histogram sums up to the same."""
        return vectors

    def similarities(self, photos: Array, templates: Array) -> Array:
        """Minus the chi squared distance, summed over the cells."""
        return np.asarray(additive_chi2_kernel(photos, templates))

    @property
    def bytes(self) -> int:
        """It learns nothing."""
        return 0

    def _histogram(self, grey: np.ndarray) -> Array:
        codes = local_binary_pattern(grey, 8, 1, method="nri_uniform").astype(np.int64)
        step = len(codes) // self.CELLS
        cells = codes[: step * self.CELLS, : step * self.CELLS]
        cells = cells.reshape(self.CELLS, step, self.CELLS, step).swapaxes(1, 2).reshape(self.CELLS**2, -1)
        counts = [np.bincount(cell, minlength=self.PATTERNS) for cell in cells]
        return np.concatenate(counts) / cells.shape[1]


CLASSES: dict[str, type[FaceModel]] = {
    "eigenfaces": Eigenfaces,
    "fisherfaces": Fisherfaces,
    "lbph": LocalBinaryPatterns,
}
