<?php
// Weak on purpose: whatever is sent in lands under the web root with the name it brought.
if ($_SERVER['REQUEST_METHOD'] === 'POST' && isset($_FILES['tep'])) {
    move_uploaded_file($_FILES['tep']['tmp_name'], '/var/www/portal/uploads/' . basename($_FILES['tep']['name']));
    exit('Đã nhận hồ sơ');
}
?>
<form method="post" enctype="multipart/form-data"><input type="file" name="tep"><button>Nộp</button></form>
