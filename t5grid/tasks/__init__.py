"""published and own rows -> records of inputs and targets -> metrics."""
