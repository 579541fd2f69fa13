"""Series in one array, what is known of them, and how they are split."""
