"""The process of suspects, with a short alarm: `python -m tests.support.impatient_decoder`."""

from image2model.generation import decoder_child

if __name__ == "__main__":
    decoder_child.LONGEST_S = 1
    decoder_child.main()
