"""Traversals on the report's page, as pictures and sounds."""

from dafxvae.latent.traversals import Strip
from dafxvae.reporting import page


class LatentPage(page.Page):
    """A page that can show strips."""

    def strip(self, strip: Strip, image: bytes, sample_rate: int) -> None:
        """A traversal or a way between two recordings: spectra, then the sounds in the same order."""
        self.subheading(strip.title)
        if strip.note:
            self.text(strip.note, "note")
        self.picture(image, strip.title)
        self.sounds(strip.sounds, sample_rate)
