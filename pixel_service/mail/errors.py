"""What is wrong with the content of a send, said so that its author can mend it."""

from pixel_service.domain.errors import InvalidInput


class ContentInvalid(InvalidInput):
    """`field` is ``subject``, ``html``, ``text``, ``template``, ``variables``, ``headers`` or ``address``.

    `detail` names the line where there is one and never repeats a recipient's value.
    """
