"""The process of suspects, with a short alarm: `python -m tests.support.impatient_decoder`."""

from image2model.decoding import child

if __name__ == "__main__":
    child.LONGEST_S = 1
    child.main()
